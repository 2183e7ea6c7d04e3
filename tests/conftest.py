"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.runtimes import HAS_OLD_RUNTIME, PRINTS_SIX_DIGITS

settings.register_profile("no clock", deadline=None)  # a test that fails on a busy machine says nothing of the code
settings.load_profile("no clock")


OF_PRINTED_NUMBERS = frozenset({
    "test_a_glance_refuses_nothing_that_matches",
    "test_a_seed_gives_the_same_model",
    "test_counterexample_fails_when_read_back[add-zero-to-nothing]",
    "test_counterexample_fails_when_read_back[matmul-add-to-gemm-any-bias]",
    "test_counterexample_fails_when_read_back[mul-zero-to-zero]",
    "test_golden[convert-bn-to-mul-add/models]",
    "test_golden[fuse-activation/models]",
    "test_golden[merge-constant-operands/models]",
    "test_golden[simplify-casts/models]",
    "test_hard_sigmoid_needs_numbers_that_it_can_hold[text1-step1-or 0.5 is not among the normal numbers of float32]",
    "test_hard_sigmoid_needs_numbers_that_it_can_hold[text2-step2-is not among the normal numbers of float32]",
    "test_models_of_a_rule_are_those_on_which_it_fires",
    "test_wrong_rule_is_caught[regrouped-product-called-exact]",
})  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what compares or reads printed models where numbers are printed in six digits."""
    for item in items:
        # Read again, the printed model has other weights; from 1.23 on onnx prints as many digits as it takes.
        if PRINTS_SIX_DIGITS and item.name in OF_PRINTED_NUMBERS:
            item.add_marker(pytest.mark.skip(reason="an older onnx prints six digits of a number"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip what meets a kernel that an older onnxruntime lacks: nothing can be compared there."""
    try:
        return (yield)
    except Exception as error:  # onnxruntime's own class, which is only there where onnxruntime is
        # It says itself that it has no kernel for a type; which ones differ with each version, so that no list could say it.
        if HAS_OLD_RUNTIME and type(error).__name__ == "NotImplemented":
            pytest.skip(f"an older onnxruntime: {str(error).partition(' node')[0]}")
        raise

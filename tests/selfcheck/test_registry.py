"""Every rule that is installed, plug-ins' included, keeps what it promises on models built from its own pattern and on near misses."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

from graphopt.pipeline.registry import installed
from graphopt.verify.selfcheck import check_rule

RULES = installed().rules()
# onnxruntime below 1.24 reduces an empty tensor although `noop_with_empty_axes` says not to, and leaves a wide `output_padding`
# of ConvTranspose uninitialized: there these rules are right and the runtime is not.
WRONG_IN_OLD_RUNTIMES = {"convtranspose-bn-to-convtranspose", "reduction-of-nothing", "sum-of-nothing"}


def has_old_runtime() -> bool:
    try:
        found = version("onnxruntime")
    except PackageNotFoundError:
        return False
    return tuple(map(int, found.split(".")[:2])) < (1, 24)


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_holds(name: str) -> None:
    if name in WRONG_IN_OLD_RUNTIMES and has_old_runtime():
        pytest.skip("the installed onnxruntime computes the original wrongly")
    report = check_rule(RULES[name].rule)
    if "install onnxruntime" in report.error:
        pytest.skip(report.error)  # onnx's own kernels of a few operators are wrong: nothing here could run them
    assert report.ok, str(report)


@pytest.mark.slow  # minutes: ten times as many models of each rule
@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_holds_thoroughly(name: str) -> None:
    report = check_rule(RULES[name].rule, seed=1, effort="thorough")
    assert report.ok, str(report)

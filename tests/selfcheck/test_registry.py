"""Every rule that is installed, plug-ins' included, keeps what it promises on models built from its own pattern and on near misses."""

from __future__ import annotations

import pytest

from graphopt.pipeline.registry import installed
from graphopt.verify.selfcheck import check_rule
from tests.runtimes import HAS_OLD_RUNTIME

RULES = installed().rules()
# onnxruntime below 1.24 reduces an empty tensor although `noop_with_empty_axes` says not to, leaves parts of the results of Conv and
# ConvTranspose uninitialized, normalizes layers in fewer digits, adds biases of wrong shapes and lacks Max of 8-bit integers. On the odd
# models of a proof it, or the onnx of its time, divides by 0, reads beyond its memory or never ends, and takes the process with it.
pytestmark = pytest.mark.skipif(HAS_OLD_RUNTIME, reason="a proof takes the runtime at its word, and older ones are wrong too often")


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_holds(name: str) -> None:
    report = check_rule(RULES[name].rule)
    if "install onnxruntime" in report.error:
        pytest.skip(report.error)  # onnx's own kernels of a few operators are wrong: nothing here could run them
    assert report.ok, str(report)


@pytest.mark.slow  # minutes: ten times as many models of each rule
@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_holds_thoroughly(name: str) -> None:
    report = check_rule(RULES[name].rule, seed=1, effort="thorough")
    assert report.ok, str(report)

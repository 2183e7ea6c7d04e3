"""What the author of a rule or a pass needs in tests: golden files, comparison, proofs, reasons and random models.

A model is given as a ModelProto, a graphopt Model, bytes, a path, or as text in ONNX's own syntax:

    from graphopt.testing import check_rule, fires, why_not

    check_rule(my_rule)
    assert fires(my_rule, '<ir_version: 10, opset_import: ["": 20]> g (float[N,3] x) => (float[N,3] y) { t = Neg(x) y = Neg(t) }') == 1

What fails is an AssertionError that shows the model, so that any test runner will do. `pip install "graphopt[test]"` brings filecheck,
which `check_golden` needs, and hypothesis, which `models` needs. Nothing is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.lazily import lazily

if TYPE_CHECKING:
    from graphopt.testing.comparing import assert_same as assert_same
    from graphopt.testing.golden import check_golden as check_golden
    from graphopt.testing.rules import check_rule as check_rule
    from graphopt.testing.rules import fires as fires
    from graphopt.testing.rules import why_not as why_not
    from graphopt.testing.running import optimized as optimized
    from graphopt.testing.running import parse as parse
    from graphopt.testing.strategies import models as models
    from graphopt.verify.tolerance import Tolerance as Tolerance

_HOMES = {
    "parse": "testing.running",
    "optimized": "testing.running",
    "fires": "testing.rules",
    "why_not": "testing.rules",
    "check_rule": "testing.rules",
    "check_golden": "testing.golden",
    "assert_same": "testing.comparing",
    "Tolerance": "verify.tolerance",
    "models": "testing.strategies",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # a type checker that sees it believes that every name is there
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

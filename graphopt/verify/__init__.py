"""Is it still right? Comparison of two models by running them, the rules' own tests, and what is to blame when something differs.

Nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.verify.bisection import Bisected as Bisected
    from graphopt.verify.bisection import bisect as bisect
    from graphopt.verify.comparison import compare as compare
    from graphopt.verify.culprit import Culprit as Culprit
    from graphopt.verify.culprit import find_culprit as find_culprit
    from graphopt.verify.reduce import reduce_feeds as reduce_feeds
    from graphopt.verify.reduce import reduce_model as reduce_model
    from graphopt.verify.result import Comparison as Comparison
    from graphopt.verify.result import Verdict as Verdict
    from graphopt.verify.selfcheck import RuleReport as RuleReport
    from graphopt.verify.selfcheck import check_rule as check_rule
    from graphopt.verify.selfcheck import check_rules as check_rules

_HOMES = {
    "Bisected": "bisection",
    "bisect": "bisection",
    "compare": "comparison",
    "Comparison": "result",
    "Verdict": "result",
    "Culprit": "culprit",
    "find_culprit": "culprit",
    "RuleReport": "selfcheck",
    "check_rule": "selfcheck",
    "check_rules": "selfcheck",
    "reduce_feeds": "reduce",
    "reduce_model": "reduce",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found

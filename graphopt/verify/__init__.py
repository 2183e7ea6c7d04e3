"""Is it still right? Comparison of two models by running them, the rules' own tests, and what is to blame when something differs.

Nothing is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.lazily import lazily

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
    "Bisected": "verify.bisection",
    "bisect": "verify.bisection",
    "compare": "verify.comparison",
    "Comparison": "verify.result",
    "Verdict": "verify.result",
    "Culprit": "verify.culprit",
    "find_culprit": "verify.culprit",
    "RuleReport": "verify.selfcheck",
    "check_rule": "verify.selfcheck",
    "check_rules": "verify.selfcheck",
    "reduce_feeds": "verify.reduce",
    "reduce_model": "verify.reduce",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # a type checker that sees it believes that every name is there
    __getattr__ = lazily(__name__, _HOMES)

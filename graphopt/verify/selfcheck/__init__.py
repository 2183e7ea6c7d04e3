"""Rules that prove themselves: models built from a rule's own pattern, and near misses of it, run before and after."""

from graphopt.verify.selfcheck.check import check_rule, check_rules
from graphopt.verify.selfcheck.report import Counterexample, RuleReport, Tally

__all__ = ["Counterexample", "RuleReport", "Tally", "check_rule", "check_rules"]

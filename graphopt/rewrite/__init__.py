"""Rewriting: rules applied to a fixpoint, behind guards that no rule can forget."""

from graphopt.rewrite.driver import apply_rules
from graphopt.rewrite.plan import Plan, plan, tried

__all__ = ["Plan", "apply_rules", "plan", "tried"]

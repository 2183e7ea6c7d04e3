"""What is wrong with a model before any work starts, in a person's words, and which flag helps."""

from graphopt.observe.check.finding import Finding, Kind
from graphopt.observe.check.model import findings_of

__all__ = ["Finding", "Kind", "findings_of"]

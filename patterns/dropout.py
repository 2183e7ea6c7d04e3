"""Dropout where nothing is dropped. That nobody reads the mask, the engine sees to."""

from __future__ import annotations

from graphopt.ir import Value
from graphopt.match import Match, const, op, opt, rule, tensor

x, ratio, training_mode = tensor("x"), tensor("ratio"), tensor("training_mode")


@rule(op.Dropout(x, opt(ratio), opt(const("training_mode", equals=False))), keeps_type=True)
def dropout_in_inference(m: Match, x: Value) -> Value:
    """Dropout(x, ratio, training_mode = false)  ->  x             exact; absent means false."""
    return x


@rule(op.Dropout(x, const("ratio", equals=0), opt(training_mode)), keeps_type=True)
def dropout_of_nothing(m: Match, x: Value) -> Value:
    """Dropout(x, ratio = 0, training_mode)  ->  x                 exact: x * 1 / (1 - 0)."""
    return x

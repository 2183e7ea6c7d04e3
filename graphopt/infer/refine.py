"""What is known of a type once more has been found out."""

from __future__ import annotations

from graphopt.ir.dim import Dim, Size
from graphopt.ir.types import OptionalType, SequenceType, TensorType, Type


def refined(known: Type | None, found: Type | None) -> Type | None:
    """What is true of a value that provably has both types: of each size the one that says more.

    A number says more than an expression, and an expression in the model's own symbols more than one in symbols that stand for unknown
    sizes (`?name.axis`). Where both say as much, or contradict each other, `found` counts.
    """
    if known is None or found is None or known == found:
        return known if found is None else found
    if isinstance(known, TensorType) and isinstance(found, TensorType) and known.dtype == found.dtype:
        if known.shape is None or found.shape is None:
            return known if found.shape is None else found
        if len(known.shape) != len(found.shape):
            return found
        return TensorType(found.dtype, tuple(map(_refined_size, known.shape, found.shape)))
    if isinstance(known, SequenceType) and isinstance(found, SequenceType):
        return SequenceType(refined(known.element, found.element))
    if isinstance(known, OptionalType) and isinstance(found, OptionalType):
        return OptionalType(refined(known.element, found.element))
    return found


def _refined_size(known: Size, found: Size) -> Size:
    if known is None or isinstance(found, int) or known == found:
        return found
    return known if _says(known) > _says(found) else found


def _says(size: Size) -> int:
    if not isinstance(size, Dim):
        return 0 if size is None else 3
    return 1 if any(name.startswith("?") for name in size.symbols) else 2

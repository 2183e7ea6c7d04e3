"""What two proofs of one type tell together."""

from __future__ import annotations

import pytest

from graphopt.infer.refine import refined
from graphopt.ir import Dim, DType, SequenceType, Size, TensorType, Type

N, UNKNOWN = Dim.symbol("N"), Dim.symbol("?x.0")


def of(*sizes: Size) -> TensorType:
    return TensorType(DType.float32, sizes)


@pytest.mark.parametrize(
    ("known", "found", "wanted"),
    [
        (None, of(2), of(2)),
        (of(2), None, of(2)),
        (of(N, 3, None, UNKNOWN), of(None, N, 4, N), of(N, 3, 4, N)),
        (of(N), of(UNKNOWN), of(N)),
        (of(2), of(3), of(3)),
        (of(2, 3), of(6), of(6)),
        (TensorType(DType.float32), of(2), of(2)),
        (of(2), TensorType(DType.float32), of(2)),
        (of(2), TensorType(DType.int64, (None,)), TensorType(DType.int64, (None,))),
        (SequenceType(of(N)), SequenceType(of(None)), SequenceType(of(N))),
        (SequenceType(of(N)), of(2), of(2)),
    ],
)
def test_refined(known: Type | None, found: Type | None, wanted: Type | None) -> None:
    assert refined(known, found) == wanted

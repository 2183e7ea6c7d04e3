"""The rules by which values count as the same, on arrays: what is inside and outside of each tolerance, and the figures reported."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from graphopt.ir.dtype import DType
from graphopt.verify.result import Verdict
from graphopt.verify.tolerance import TOLERANCES, Judge, Tolerance

Array = npt.NDArray[Any]


def around_one(kind: DType) -> Array:
    return np.linspace(-1, 1, 101).astype(kind.numpy)


@pytest.mark.parametrize("kind", [DType.float64, DType.float32, DType.float16, DType.bfloat16])
def test_half_the_relative_tolerance_passes_and_four_times_fails(kind: DType) -> None:
    reference = around_one(kind)
    tolerance = TOLERANCES[kind]
    assert Judge().judge(reference, reference).verdict is Verdict.EQUAL
    near, far = reference.copy(), reference.copy()
    near[0] = kind.numpy.type(-1 - tolerance.rtol / 2)
    far[0] = kind.numpy.type(-1 - tolerance.rtol * 4)
    assert Judge().judge(reference, near).verdict is Verdict.WITHIN
    found = Judge().judge(reference, far)
    assert found.verdict is Verdict.DIFFERENT
    assert found.max_abs == pytest.approx(tolerance.rtol * 4, rel=0.3)
    assert "1 of 101 elements" in found.why
    assert Judge(exact=True).judge(reference, near).verdict is Verdict.DIFFERENT


def test_the_defaults_are_what_the_documentation_says() -> None:
    """Spelled out, so that a slip in the table shows: relative tolerance and absolute tolerance by type."""
    assert {kind.name: (rule.rtol, rule.atol) for kind, rule in TOLERANCES.items() if kind.bits >= 16} == {
        "float64": (1e-6, 1e-7),
        "complex128": (1e-6, 1e-7),
        "float32": (1e-3, 1e-4),
        "complex64": (1e-3, 1e-4),
        "float16": (1e-2, 1e-2),
        "bfloat16": (2e-2, 2e-2),
    }


def test_small_outputs_are_held_to_their_own_scale() -> None:
    """Probabilities of 1e-5: 10% off is different, although the deviation is below the absolute tolerance of 1e-4."""
    reference = np.full(1000, 1e-2, np.float32)
    wrong = reference.copy()
    wrong[3] *= np.float32(1.1)
    assert Judge().judge(reference, wrong).verdict is Verdict.DIFFERENT
    reference, wrong = reference * np.float32(1e-2), wrong * np.float32(1e-2)
    assert Judge().judge(reference, wrong).verdict is Verdict.DIFFERENT


def test_cancelled_numbers_may_keep_their_noise() -> None:
    """0 against 5e-7, what subtracting numbers around 1 leaves: within the floor of 1e-6; 5e-6 is not."""
    zero = np.zeros(5, np.float32)
    assert Judge().judge(zero, zero + np.float32(5e-7)).verdict is Verdict.WITHIN
    assert Judge().judge(zero, zero + np.float32(5e-6)).verdict is Verdict.DIFFERENT


def test_deep_networks_are_judged_by_the_scale_of_the_output() -> None:
    """At a scale of 1e4 an element near 0 may be off by 1 (1e-4 S), not by 3."""
    reference = np.array([1e4, 0.5, -3e3], np.float32)
    found = Judge().judge(reference, reference + np.array([0, 0.8, 0], np.float32))
    assert found.verdict is Verdict.WITHIN and "scale" in found.why
    assert Judge().judge(reference, reference + np.array([0, 3, 0], np.float32)).verdict is Verdict.DIFFERENT


def test_an_output_computed_in_a_coarser_type_is_judged_by_that() -> None:
    """float32 that came out of float16 arithmetic: 0.5% off is within 1e-2, and beyond the 1e-3 of float32."""
    reference = np.ones(3, np.float32)
    off = reference * np.float32(1.005)
    assert Judge(computed=frozenset({DType.float16, DType.float32})).judge(reference, off).verdict is Verdict.WITHIN
    assert Judge(computed=frozenset({DType.float32})).judge(reference, off).verdict is Verdict.DIFFERENT


def test_a_tolerance_of_ones_own() -> None:
    reference, off = np.ones(3, np.float32), np.full(3, 1.005, np.float32)
    assert Judge(tolerance=Tolerance(1e-2, 0, 0, 0)).judge(reference, off).verdict is Verdict.WITHIN
    assert Judge(tolerance=Tolerance(1e-5, 0, 0, 0)).judge(reference, off).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_units_in_the_last_place_count_neighbours(kind: Any) -> None:
    one = np.array([1, -1, 0, 3], kind)
    assert Judge().judge(one, np.nextafter(one, one.dtype.type(9))).max_ulp == 1
    assert Judge().judge(np.array([1], kind), np.array([-1], kind)).max_ulp == 2 * int(np.array([1], kind).view(f"u{one.itemsize}")[0]) + 1


def test_signs_of_zero_and_payloads_of_nan() -> None:
    plus, minus = np.zeros(2, np.float32), -np.zeros(2, np.float32)
    assert Judge().judge(plus, minus).verdict is Verdict.WITHIN
    assert Judge(exact=True).judge(plus, minus).verdict is Verdict.DIFFERENT
    quiet, other = (np.array([bits], np.uint32).view(np.float32) for bits in (0x7FC00000, 0xFFC00001))
    assert Judge(exact=True).judge(quiet, other).verdict is Verdict.EQUAL


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.int64, np.uint64, np.bool_])
def test_integers_and_booleans_are_exact(kind: Any) -> None:
    reference = np.array([0, 1, 1, 0], kind)
    wrong = np.array([0, 1, 1, 1], kind)
    assert Judge().judge(reference, reference).verdict is Verdict.EQUAL
    assert Judge().judge(reference, wrong).verdict is Verdict.DIFFERENT


def test_the_ends_of_64_bit_integers_do_not_overflow() -> None:
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    found = Judge(quantized=True).judge(np.array([low]), np.array([high]))
    assert found.verdict is Verdict.DIFFERENT and found.max_abs == 2.0**64
    top = np.array([2**64 - 1], np.uint64)
    assert Judge().judge(top, top - np.uint64(1)).verdict is Verdict.DIFFERENT


def test_strings_and_four_bit_integers() -> None:
    words = np.array(["a", "é"], object)
    assert Judge().judge(words, words.copy()).verdict is Verdict.EQUAL
    assert Judge().judge(words, np.array(["a", b"\xc3\xa9"], object)).verdict is Verdict.EQUAL  # bytes of the same text
    assert Judge().judge(words, np.array(["a", "e"], object)).verdict is Verdict.DIFFERENT
    four = np.array([-8, 7, 0], ml_dtypes.int4)
    assert Judge().judge(four, four).verdict is Verdict.EQUAL
    assert Judge().judge(four, np.array([-8, 7, 1], ml_dtypes.int4)).verdict is Verdict.DIFFERENT


def test_every_float_type_has_a_tolerance_and_works() -> None:
    for kind in DType:
        if kind.is_float:
            values = np.asarray([0.5, 1, 2, 4]).astype(kind.numpy)
            assert Judge().judge(values, values).verdict is Verdict.EQUAL, kind
            assert Judge().judge(values, values[::-1]).verdict is Verdict.DIFFERENT, kind


def test_complex_numbers_are_compared_part_by_part() -> None:
    numbers = np.array([1 + 2j, -3j], np.complex64)
    assert Judge().judge(numbers, numbers).verdict is Verdict.EQUAL
    assert Judge().judge(numbers, numbers * np.complex64(1.0001)).verdict is Verdict.WITHIN
    assert Judge().judge(numbers, numbers.conj()).verdict is Verdict.DIFFERENT

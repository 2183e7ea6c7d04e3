"""When two values count as the same: exact kinds, tolerances per floating-point type, deviations in units in the last place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from graphopt.ir.dtype import DType
from graphopt.verify.result import Difference, Verdict

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """|a - b| <= rtol |a| + max(floor, atol min(1, S)), or |a - b| <= scale S, for all elements; S is the largest finite |a|.

    `atol` shrinks with the output's own scale, so that the probabilities of a thousand classes are not all "close to 0"; `floor` is the
    noise that numbers around 1 leave where they cancel; `scale` is for deep networks, whose small elements carry the rounding of others.
    """

    rtol: float
    atol: float
    floor: float
    scale: float

    @property
    def in_short(self) -> str:
        """For people: what it comes to, without the noise around zero.

        >>> Tolerance(1e-3, 1e-4, 1e-6, 1e-4).in_short
        '0.1 % of each value, or 0.01 % of the largest'
        """
        return f"{100 * self.rtol:g} % of each value, or {100 * self.scale:g} % of the largest"

    def __str__(self) -> str:
        return (
            f"|a-b| <= {self.rtol:g}|a| + max({self.floor:g}, {self.atol:g} min(1, S)), or {self.scale:g} S everywhere;"
            " S = largest finite |a|"
        )


_FLOAT64 = Tolerance(1e-6, 1e-7, 1e-12, 1e-7)
_FLOAT32 = Tolerance(1e-3, 1e-4, 1e-6, 1e-4)
_NARROW = Tolerance(1e-1, 1e-2, 1e-2, 1e-1)
TOLERANCES: Mapping[DType, Tolerance] = {
    DType.float64: _FLOAT64,
    DType.complex128: _FLOAT64,
    DType.float32: _FLOAT32,
    DType.complex64: _FLOAT32,
    DType.float16: Tolerance(1e-2, 1e-2, 1e-3, 1e-2),
    DType.bfloat16: Tolerance(2e-2, 2e-2, 8e-3, 2e-2),
    **{kind: _NARROW for kind in DType if kind.name.startswith(("float8", "float6e", "float4e"))},
}
# What a float output may carry through from an inner computation; 8-bit floats inside are storage, not arithmetic.
_COMPUTED = (DType.bfloat16, DType.float16, DType.float32, DType.float64)


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares values. `computed` are the element types inside the model: an output is judged by the coarsest float it may have passed.

    `exact` demands the same bits (any NaN equals any NaN). `tolerance` replaces the defaults for every float type. `quantized` says that
    the model rounds to integers inside, where a last bit may become a whole step: see `_quantized`.
    """

    exact: bool = False
    computed: frozenset[DType] = field(default_factory=frozenset)
    tolerance: Tolerance | None = None
    quantized: bool = False

    def tolerance_for(self, kind: DType) -> Tolerance | None:
        """The tolerance for an output of this element type; None when it must be equal bit for bit."""
        if self.exact or kind not in TOLERANCES:
            return None
        if self.tolerance is not None:
            return self.tolerance
        kinds = [kind, *(inner for inner in _COMPUTED if inner in self.computed)]
        return max((TOLERANCES[inner] for inner in kinds), key=lambda tolerance: tolerance.rtol)

    def statement(self, kinds: Iterable[DType]) -> tuple[str, ...]:
        """What the report says about the tolerance: one line for each kind of output."""
        lines = []
        for kind in sorted(set(kinds)):
            tolerance = self.tolerance_for(kind)
            said = "exact bits" if tolerance is None else f"{tolerance}; type, shape, NaN and Inf exact, sign of zero free"
            lines.append(f"{kind}: {said}")
        if self.quantized and not self.exact:
            lines.append("quantized model: 1% of the elements may be off by more than 1 (integers) or 1.5/255 of the range (floats)")
        return tuple(lines)

    def in_short(self, kinds: Iterable[DType]) -> tuple[str, ...]:
        """The same for people: a short line for each tolerance."""
        said: dict[str, list[str]] = {}
        for kind in sorted(set(kinds)):
            tolerance = self.tolerance_for(kind)
            said.setdefault("equal bits" if tolerance is None else tolerance.in_short, []).append(str(kind))
        lines = [f"{', '.join(names)}: {words}" for words, names in said.items()]
        if self.quantized and not self.exact:
            lines.append("quantized model: 1 % of the elements may be off by more than one step")
        return tuple(lines)

    def judge(self, reference: object, value: object) -> Difference:
        """Compare what the two models gave for one output: an array, a sequence, a map, or None."""
        if reference is None or value is None:
            return Difference(Verdict.EQUAL) if reference is value else _different("", "one is absent, the other is not")
        if isinstance(reference, dict) or isinstance(value, dict):
            if not (isinstance(reference, dict) and isinstance(value, dict) and list(reference) == list(value)):
                return _different("map", "the keys differ")
            return self._several("map", list(reference.values()), list(value.values()))
        if isinstance(reference, (list, tuple)) or isinstance(value, (list, tuple)):
            if not (isinstance(reference, (list, tuple)) and isinstance(value, (list, tuple))):
                return _different("sequence", "one is a sequence, the other is not")
            if len(reference) != len(value):
                return _different("sequence", f"the sequence has {len(value)} elements instead of {len(reference)}")
            return self._several("sequence", reference, value)
        return self._arrays(np.asarray(reference), np.asarray(value))

    def _several(self, kind: str, references: Sequence[object], values: Sequence[object]) -> Difference:
        found = [self.judge(reference, value) for reference, value in zip(references, values, strict=True)]
        if not found:
            return Difference(Verdict.EQUAL, kind)
        worst = max(found, key=lambda difference: difference.verdict)
        return Difference(
            worst.verdict,
            f"{kind} of {worst.kind}" if worst.kind else kind,
            max((one.max_abs for one in found if one.max_abs is not None), default=None),
            max((one.max_rel for one in found if one.max_rel is not None), default=None),
            max((one.max_ulp for one in found if one.max_ulp is not None), default=None),
            worst.why,
            worst.outside,
        )

    def _arrays(self, reference: Array, value: Array) -> Difference:
        kind, other = DType.of(reference.dtype), DType.of(value.dtype)
        if kind is not other:
            return _different(kind.name, f"the element type is {other.name} instead of {kind.name}")
        if reference.shape != value.shape:
            return _different(kind.name, f"the shape is {list(value.shape)} instead of {list(reference.shape)}")
        if reference.size == 0:
            return Difference(Verdict.EQUAL, kind.name)
        if kind is DType.string:
            return _strings(reference, value)
        if kind in (DType.complex64, DType.complex128):
            return self._complex(kind, reference, value)
        if kind not in TOLERANCES:
            return self._integers(kind, reference, value)
        return self._floats(kind, reference, value)

    def _complex(self, kind: DType, reference: Array, value: Array) -> Difference:
        part = np.float32 if kind is DType.complex64 else np.float64
        found = self._floats(DType.of(np.dtype(part)), *(np.ascontiguousarray(one).view(part) for one in (reference, value)))
        return Difference(found.verdict, kind.name, found.max_abs, found.max_rel, found.max_ulp, found.why, found.outside)

    def _integers(self, kind: DType, reference: Array, value: Array) -> Difference:
        unequal = reference != value
        count = int(np.count_nonzero(unequal))
        if not count:
            return Difference(Verdict.EQUAL, kind.name, 0.0, 0.0)
        wide = np.uint64 if kind is DType.uint64 else np.int64
        a, b = reference[unequal].astype(wide), value[unequal].astype(wide)
        steps = np.where(a > b, a.astype(np.uint64) - b.astype(np.uint64), b.astype(np.uint64) - a.astype(np.uint64))
        largest = float(steps.max())
        why = f"{count} of {reference.size} elements differ"
        if self.quantized and not self.exact and kind is not DType.bool:
            far = int(np.count_nonzero(steps > 1))
            if far <= 0.01 * reference.size:
                return Difference(Verdict.WITHIN, kind.name, largest, why=f"{why}, {far} by more than one quantization step")
        return Difference(Verdict.DIFFERENT, kind.name, largest, why=f"{why}, by up to {int(largest)}", outside=count)

    def _floats(self, kind: DType, reference: Array, value: Array) -> Difference:
        wide = np.float64
        a, b = reference.astype(wide), value.astype(wide)
        nan, infinite = np.isnan(a), np.isinf(a)
        if (pattern := _pattern(a, b)) is not None:
            return _different(kind.name, pattern)
        finite = ~(nan | infinite)
        codes_a, codes_b = _ordered(reference, kind)[finite], _ordered(value, kind)[finite]
        ulps = np.where(codes_a > codes_b, codes_a - codes_b, codes_b - codes_a)
        if not ulps.any():
            return Difference(Verdict.EQUAL, kind.name, 0.0, 0.0, 0)
        a, b = a[finite], b[finite]
        deviation, size = np.abs(a - b), np.abs(a)
        scale = float(size.max())
        relative = float((deviation / np.maximum(size, 1e-6)).max())  # relative to next to nothing means nothing
        figures = (float(deviation.max()), relative, int(ulps.max()))
        tolerance = self.tolerance_for(kind)
        if tolerance is None:
            count = int(np.count_nonzero(ulps))
            return Difference(Verdict.DIFFERENT, kind.name, *figures, f"{count} of {reference.size} elements have other bits", count)
        allowed = tolerance.rtol * size + max(tolerance.floor, tolerance.atol * min(1.0, scale))
        outside = int(np.count_nonzero(deviation > allowed))
        if not outside:
            why = "" if deviation.any() else "zeros of another sign"
            return Difference(Verdict.WITHIN, kind.name, *figures, why)
        if figures[0] <= tolerance.scale * scale:
            return Difference(Verdict.WITHIN, kind.name, *figures, f"small against the output's scale of {scale:.3g}")
        why = f"{outside} of {reference.size} elements are off, by up to {figures[0]:.3g} at a scale of {scale:.3g}"
        if self.quantized and _quantized(a, deviation, allowed):
            return Difference(Verdict.WITHIN, kind.name, *figures, f"{why}; less than 1% by more than 1.5 quantization steps")
        return Difference(Verdict.DIFFERENT, kind.name, *figures, why, outside)


def _different(kind: str, why: str) -> Difference:
    return Difference(Verdict.DIFFERENT, kind, why=why)


def _strings(reference: Array, value: Array) -> Difference:
    count = sum(a != b for a, b in zip(map(_text, reference.reshape(-1)), map(_text, value.reshape(-1)), strict=True))
    if count:
        return Difference(Verdict.DIFFERENT, "string", why=f"{count} of {reference.size} strings differ", outside=count)
    return Difference(Verdict.EQUAL, "string")


def _text(element: object) -> str:
    return element.decode(errors="surrogateescape") if isinstance(element, bytes) else str(element)


def _pattern(a: Array, b: Array) -> str | None:
    """How the places of NaN and Inf differ, None if they do not."""
    nan = int(np.count_nonzero(np.isnan(a) != np.isnan(b)))
    if nan:
        return f"NaN in other places: {nan} of {a.size} elements"
    infinite = np.isinf(a) | np.isinf(b)
    other = int(np.count_nonzero(a[infinite] != b[infinite]))
    return f"Inf in other places: {other} of {a.size} elements" if other else None


def _ordered(array: Array, kind: DType) -> Array:
    """The bits of each float as an unsigned number that grows with the float: neighbours differ by 1, so do -0 and +0."""
    bits = max(kind.bits, 8)
    codes: Array = np.ascontiguousarray(array).view(f"u{bits // 8}")
    if kind is DType.float8e8m0:  # an exponent alone: unsigned
        return codes.astype(np.uint64)
    codes = codes.astype(np.uint64) & np.uint64((1 << kind.bits) - 1 if kind.bits < 64 else 2**64 - 1)
    sign = np.uint64(1 << (kind.bits - 1))
    # A set sign bit turns the order round; the offset keeps the numbers unsigned.
    return np.asarray(np.where(codes & sign, sign - (codes & ~sign) - np.uint64(1), codes + sign))


def _quantized(a: Array, deviation: Array, allowed: Array) -> bool:
    """Whether at most 1% of the elements are off by more than 1.5 steps of an 8-bit grid over the output's range.

    A last bit of rounding before a QuantizeLinear moves a few elements by a whole step; that is the model's own coarseness.
    """
    step = max(float(a.max() - a.min()), 1e-6) / 255
    return bool(np.count_nonzero(deviation > np.maximum(1.5 * step, allowed)) <= 0.01 * deviation.size)

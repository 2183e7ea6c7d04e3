"""Window operators that find out their padding by themselves, with the padding written down.

Sources: "auto_pad" in the texts of Conv-11, ConvTranspose-11 and MaxPool-12; "output_shape" in that of ConvTranspose-11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from graphopt.ir import Node, Shape, Size, Value
from graphopt.ir.algebra import floor_divide
from graphopt.ir.bounds import bounds
from graphopt.match import Call, Declined, Match, any_of, attr, op, opt, rule, tensor

Numbers: TypeAlias = "tuple[int, ...] | None"
Total: TypeAlias = "int | None"  # elements of padding along an axis, before and behind; None where it is not one known number
SAME: Final = ("SAME_UPPER", "SAME_LOWER")

x, w = tensor("x"), tensor("w")
window: Final = {"dilations": attr("dilations"), "kernel_shape": attr("kernel"), "strides": attr("strides")}
same: Final = {**window, "auto_pad": attr("auto_pad", where=SAME.__contains__)}


def examples(*calls: str, since: int = 13) -> Callable[[], list[str]]:
    """Models of windows along one axis and along two, of known extents and others."""
    return lambda: [
        f"""<ir_version: 10, opset_import: ["" : {opset}]> g (float[{shape}] x) => (float[{result}] y)
        <float[2,2,{size}] w = {{{", ".join(map(str, range(1, 4 * count + 1)))}}}>
        {{ y = {call.replace("AUTO", f'auto_pad = "{auto}", strides = {steps}, kernel_shape = {kernel}')} }}"""
        for opset in (since, 22)
        for shape, result, size, count, kernel, steps in (
            ("N,2,L", "N,C,A", "3", 3, "[3]", "[1]"),
            ("1,2,5", "N,C,A", "2", 2, "[2]", "[2]"),
            ("1,2,4,3", "N,C,A,B", "3,2", 6, "[3, 2]", "[2, 1]"),
        )
        for auto in (*SAME, "VALID")
        for call in calls
    ]  # fmt: skip


quantized: Final = [tensor(name) for name in ("x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero")]


def convolutions(**attributes: object) -> tuple[Call, ...]:
    """The patterns of the convolutions that pads make bigger."""
    return (
        op.Conv(x, w, opt(tensor("b")), **attributes).named("node"),
        op.ConvInteger(x, w, opt(tensor("x_zero")), opt(tensor("w_zero")), **attributes).named("node"),
        op.QLinearConv(x, *quantized, opt(tensor("b")), **attributes).named("node"),
    )


def pools(**attributes: object) -> tuple[Call, ...]:
    """The patterns of the poolings."""
    return tuple(op[op_type](x, **attributes).named("node") for op_type in ("MaxPool", "AveragePool", "LpPool"))


@rule(
    any_of(
        *convolutions(auto_pad="VALID"),
        op.ConvTranspose(x, w, opt(tensor("b")), auto_pad="VALID", output_shape=attr("wanted")).named("node"),
        *pools(auto_pad="VALID", ceil_mode=0),
    ),
    keeps_type=True,
    examples=examples("Conv<AUTO>(x, w)", "AveragePool<AUTO>(x)", "ConvTranspose<AUTO>(x, w)"),
)
def valid_to_no_pads(m: Match, node: Node) -> Value | Declined:
    """Conv<auto_pad = "VALID">(x, w)  ->  Conv(x, w)                ConvInteger, QLinearConv, ConvTranspose and the pools likewise"""
    if m.bindings.get("wanted") is not None:
        return m.no("output_shape {} says how much is padded", m.bindings["wanted"])
    return with_pads(m, node, None)


@rule(any_of(*convolutions(**same)), keeps_type=True, examples=examples("Conv<AUTO>(x, w)"))
def same_conv_to_pads(m: Match, node: Node, x: Value, w: Value, kernel: Numbers) -> Value | Declined:
    """Conv<auto_pad = "SAME_UPPER">(x, w)  ->  Conv<pads>(x, w)                ConvInteger and QLinearConv likewise

    ceil(extent / stride) windows; what their last element lies beyond the extent is padding. SAME_LOWER begins with the bigger half of it.
    Where the last window ends one element early nothing is padded; earlier, runtimes leave out some in front, or none.
    """
    given = axes(m, x, kernel or (None if w.shape is None else w.shape[2:]))
    return given if isinstance(given, Declined) else with_halves(m, node, x, [total_of(*axis, least=-1) for axis in given])


@rule(any_of(*pools(**same)), keeps_type=True, examples=examples("MaxPool<AUTO>(x)", "AveragePool<AUTO>(x)"))
def same_pool_to_pads(m: Match, node: Node, x: Value, kernel: Numbers) -> Value | Declined:
    """MaxPool<auto_pad = "SAME_UPPER">(x)  ->  MaxPool<pads>(x)                AveragePool and LpPool likewise

    As for Conv. No window ends early and none has gaps: runtimes make one thing or another of it.
    """
    if any(step != 1 for step in m.bindings["dilations"] or ()):
        return m.no("the windows have gaps {}", m.bindings["dilations"])
    given = axes(m, x, kernel)
    return given if isinstance(given, Declined) else with_halves(m, node, x, [total_of(*axis, least=0) for axis in given])


@rule(
    op.ConvTranspose(
        x, w, opt(tensor("b")), **window, auto_pad=attr("auto_pad"), output_padding=attr("extra"), output_shape=attr("wanted")
    ).named("node"),
    keeps_type=True,
    since=11,
    examples=examples("ConvTranspose<AUTO>(x, w)", "ConvTranspose<AUTO, output_padding = [1, 0]>(x, w)"),
)  # fmt: skip
def same_convtranspose_to_pads(
    m: Match, node: Node, x: Value, w: Value, kernel: Numbers, extra: Numbers, wanted: Numbers, auto_pad: str
) -> Value | Declined:
    """ConvTranspose<auto_pad = "SAME_UPPER">(x, w)  ->  ConvTranspose<pads>(x, w)

    Padding takes away what the result has more than `extent * stride`, or than output_shape; all but SAME_UPPER begin with the bigger half.
    """
    if wanted is None and auto_pad not in SAME:
        return m.no("auto_pad is {}, and there is no output_shape", auto_pad)
    given = axes(m, x, kernel or (None if w.shape is None else w.shape[2:]))
    if isinstance(given, Declined):
        return given
    extra, results = extra or (0,) * len(given), wanted or (None,) * len(given)
    if len(extra) != len(given) or len(results) != len(given):
        return m.no("output_padding {} or output_shape {} is not of {} axes", extra, wanted, len(given))
    totals: list[Total] = []
    for (extent, span, stride), more, result in zip(given, extra, results, strict=True):
        # stride * (extent - 1) + more + span - result, and without output_shape the result is stride * extent
        total = span - stride + more if result is None else stride * extent - stride + more + span - result if extent is not None else None
        totals.append(total if isinstance(total, int) and total >= 0 else None)
    return with_halves(m, node, x, totals)


def axes(m: Match, x: Value, kernel: Shape | None) -> list[tuple[Size, int, int]] | Declined:
    """Of each axis that the windows go along: its extent, the window with its gaps, the stride."""
    known = [extent for extent in kernel or () if isinstance(extent, int)]
    if x.shape is None or kernel is None or len(known) != len(kernel) or len(x.shape) != len(kernel) + 2:
        return m.no("the extents of the windows over {}, which is {}, are unknown", x, x.type)
    strides, gaps = (m.bindings[name] or (1,) * len(known) for name in ("strides", "dilations"))
    if len(strides) != len(known) or len(gaps) != len(known):
        return m.no("strides {} or dilations {} are not of {} axes", strides, gaps, len(known))
    spans = [(extent - 1) * gap + 1 for extent, gap in zip(known, gaps, strict=True)]
    return list(zip(x.shape[2:], spans, strides, strict=True))


def total_of(extent: Size, span: int, stride: int, *, least: int) -> Total:
    """How much padding makes ceil(extent / stride) windows fit, where that is known; None when it may be less than `least`."""
    if stride == 1 or extent is None:
        return span - 1 if stride == 1 else None
    low, high = bounds((floor_divide(extent + (stride - 1), stride) - 1) * stride + span - extent)
    if low is None or high is None or low < least or max(low, 0) != max(high, 0):
        return None
    return max(high, 0)


def with_halves(m: Match, node: Node, x: Value, totals: Sequence[Total]) -> Value | Declined:
    """The operator with this much padding, half of it in front and half behind."""
    known = [total for total in totals if total is not None]
    if len(known) != len(totals):
        return m.no("how much is padded depends on the sizes of {}, which is {}, or is less than nothing", x, x.type)
    small, big = [total // 2 for total in known], [total - total // 2 for total in known]
    return with_pads(m, node, (*small, *big) if m.bindings["auto_pad"] == "SAME_UPPER" else (*big, *small))


def with_pads(m: Match, node: Node, pads: Numbers) -> Value:
    """The operator with these pads and no others."""
    kept = node.attributes_without("auto_pad", "output_shape", "pads")
    return m.op[node.op](*node.inputs, **kept, **({"pads": pads} if pads is not None and any(pads) else {}))

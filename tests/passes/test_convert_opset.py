"""Conversions compute what the original did, in the same runtime; what cannot be said is refused, and nothing changed then."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import pytest

import graphopt
from graphopt import io
from graphopt.errors import ModelError, SpecError
from graphopt.infer import infer_model
from graphopt.observe.observer import Observer
from graphopt.passes.convert_opset import ConvertOpset
from graphopt.schema import facts
from graphopt.schema.changes import READ_UP_TO
from tests.passes.models import Told, needs_onnxruntime, ops, parse, results, run

NUMBERS = np.random.default_rng(7).normal(size=(2, 3, 4)).astype(np.float32)
SPECIAL = np.array([[np.nan, np.inf, -np.inf], [-0.0, 0.0, 3e38]], np.float32)
IMAGE = np.random.default_rng(8).normal(size=(1, 2, 4, 5)).astype(np.float32)
NEWEST = min(facts.newest_opset(), 22)  # what the oldest runtime in the tests takes

Feeds = dict[str, npt.ArrayLike]


def model(opset: int, body: str, *, ir: int = 7) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: {ir}, opset_import: ["" : {opset}]>\n{body}')


def converted(message: onnx.ModelProto, to: int) -> onnx.ModelProto:
    loaded = io.load(message)
    infer_model(loaded, Observer())
    run(loaded, ConvertOpset(to))
    return io.to_proto(loaded)


def check(message: onnx.ModelProto, feeds: Feeds, *targets: int, by_onnxruntime: bool) -> None:
    before = results(message, feeds, by_onnxruntime=by_onnxruntime)
    for to in targets:
        made = converted(message, to)
        assert [entry.version for entry in made.opset_import] == [to]
        for one, other in zip(before, results(made, feeds, by_onnxruntime=by_onnxruntime), strict=True):
            assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes()), to


CASES: list[tuple[int, str, Feeds, tuple[int, ...]]] = [
    (11, "g (float[A,B,C] x) => (float[A,B,C] y) { y = Softmax(x) }", {"x": NUMBERS}, (12, 14, NEWEST)),
    (11, "g (float[A,B,C] x) => (float[A,B,C] y) { y = Softmax(x) }", {"x": NUMBERS[:, :0]}, (14, NEWEST)),
    (11, "g (float[2,3,4] x) => (float[2,3,4] y) { y = LogSoftmax<axis = -2>(x) }", {"x": NUMBERS}, (13, NEWEST)),
    (7, "g (float[2,3,4] x) => (float[2,3,4] y) { y = Hardmax<axis = 0>(x) }", {"x": NUMBERS}, (11, 13, NEWEST)),
    (7, "g (float[2,3] x) => (float[2,3] y) { y = Clip(x) }", {"x": SPECIAL}, (11, NEWEST)),
    (7, "g (float[2,3] x) => (float[2,3] y) { y = Clip<max = 1.5>(x) }", {"x": SPECIAL}, (12, NEWEST)),
    (7, "g (float[2,3,4] x) => (float[2,5,7] y) { y = Pad<pads = [0, 1, 2, 0, 1, 1], value = 2.5>(x) }", {"x": NUMBERS}, (11, NEWEST)),
    (7, "g (float[2,3,4] x) => (float[2,1,4] y) { y = Slice<axes = [1], starts = [-2], ends = [-1]>(x) }", {"x": NUMBERS}, (10, NEWEST)),
    (7, "g (float[2,3,4] x) => (float[2,3,2] v, int64[2,3,2] i) { v, i = TopK<k = 2>(x) }", {"x": NUMBERS}, (10, 11, NEWEST)),
    (7, "g (float[2,3,4] x) => (float[1,1,1] y) { y = ReduceL2(x) }", {"x": NUMBERS}, (13, 18, NEWEST)),
    (7, "g (float[2,3,4] x) => (float[2,4] y) { y = ReduceSum<axes = [1], keepdims = 0>(x) }", {"x": NUMBERS}, (11, 13, NEWEST)),
    (7, "g (float[2,3,4] x) => (float[2,3,2] a, float[2,3,2] b) { a, b = Split<axis = 2>(x) }", {"x": NUMBERS}, (13, 18, NEWEST)),
    (7, "g (float[1,2,4,5] x) => (float[1,2,8,5] y) { y = Upsample<scales = [1.0, 1.0, 2.0, 1.0]>(x) }", {"x": IMAGE}, (9, 11, NEWEST)),
    (9, 'g (float[1,2,4,5] x, float[4] s) => (float[1,2,H,W] y) { y = Upsample<mode = "linear">(x, s) }',
     {"x": IMAGE, "s": np.array([1, 1, 2, 3], np.float32)}, (10, 11, 13, 18, NEWEST)),
    (10, "g (float[1,2,4,5] x, float[4] s) => (float[1,2,H,W] y) { y = Resize<mode = \"linear\">(x, s) }",
     {"x": IMAGE, "s": np.array([1, 1, 0.5, 3], np.float32)}, (11, 13, 18, NEWEST)),
    (9, "g (float[2,3] d, int64[2,3] i, float[2,3] u) => (float[2,3] y) { y = Scatter<axis = 1>(d, i, u) }",
     {"d": SPECIAL, "i": np.array([[0, 2, 1], [1, 0, 2]]), "u": NUMBERS[:, :, 0]}, (11, NEWEST)),
    (9, "g (int64[3] i, int64 d, float[2] v) => (float[3,D] y) { y = OneHot(i, d, v) }",
     {"i": np.array([-1, 1, -2]), "d": np.array(3), "v": np.array([0.5, 2], np.float32)}, (10, 11, NEWEST)),
    (7, "g (float[1,2,4,5] x, float[2] s) => (float[1,2,4,5] y) { d = Dropout<ratio = 0.25>(x)\n y = BatchNormalization(d, s, s, s, s) }",
     {"x": IMAGE, "s": np.array([0.5, 2], np.float32)}, (9, 10, 12, 14, NEWEST)),
    (10, "g (float[1,2,4,5] x) => (float[1,2,2,3] y) { y = MaxPool<ceil_mode = 1, kernel_shape = [2, 2], strides = [2, 2]>(x) }",
     {"x": IMAGE}, (11, 12, NEWEST)),
    (7, 'g (float[1,2,4,5] x, float[2,C,4,4] w) => (float[A,C,E,F] y) { y = ConvTranspose<strides=[2,2], auto_pad="SAME_UPPER">(x, w) }',
     {"x": IMAGE, "w": np.ones((2, 3, 4, 4), np.float32)}, (11, NEWEST)),
    (16, 'g (float[1,2,4,5] x, float[1,2,2,2] g) => (float[1,2,2,2] y) { y = GridSample<mode = "bicubic">(x, g) }',
     {"x": IMAGE, "g": NUMBERS.reshape(-1)[:8].reshape(1, 2, 2, 2)}, (20, 17)),
    (10, "g (float[1,2,4,5] x, float[1,4] r, int64[1] n) => (float[A,B,C,D] y) { y = RoiAlign<output_width = 2>(x, r, n) }",
     {"x": IMAGE, "r": np.array([[0, 0, 3, 3]], np.float32), "n": np.array([0])}, (11, 16)),
]  # fmt: skip


def named(part: object) -> str:
    """A case by its last operator."""
    return part.rpartition("= ")[2] if isinstance(part, str) else ""


@needs_onnxruntime
@pytest.mark.parametrize(("opset", "body", "feeds", "targets"), CASES, ids=named)
def test_same_bits(opset: int, body: str, feeds: Feeds, targets: tuple[int, ...]) -> None:
    check(model(opset, body, ir=3 if opset < 9 else 5), feeds, *targets, by_onnxruntime=True)


ONE_WAY = {  # cases, by opset and operator, and why the older opset cannot say what the newer one does
    (11, "Softmax"): "has no attribute allowzero",
    (7, "Upsample"): "there is no Resize at opset 7",
    (9, "Upsample"): "there is no Resize at opset 9",
    (9, "Scatter"): "there is no ScatterElements at opset 9",
    (9, "OneHot"): "OneHot takes negative indices otherwise before opset 11",
    (7, "ConvTranspose"): "ConvTranspose pads otherwise by itself before opset 11",
}


def one_way(opset: int, body: str) -> str | None:
    """Why a case cannot go back; None when it can."""
    return next((why for (at, op), why in ONE_WAY.items() if at == opset and re.search(rf"= {op}\b", body)), None)


@needs_onnxruntime
@pytest.mark.parametrize(("opset", "body", "feeds", "targets"), CASES, ids=named)
def test_there_and_back(opset: int, body: str, feeds: Feeds, targets: tuple[int, ...]) -> None:
    """Where the way back is possible, it leads to what was there; where it is not, the error says why."""
    message = model(opset, body, ir=3 if opset < 9 else 5)
    newer = converted(message, max(targets))
    assert [entry.version for entry in newer.opset_import] == [max(targets)] != [opset]
    if (why := one_way(opset, body)) is not None:
        with pytest.raises(ModelError, match=why):
            converted(newer, opset)
        return
    back = converted(newer, opset)
    assert [entry.version for entry in back.opset_import] == [opset]
    for one, other in zip(results(message, feeds, by_onnxruntime=True), results(back, feeds, by_onnxruntime=True), strict=True):
        assert one.tobytes() == other.tobytes()


def test_most_cases_go_back() -> None:
    """Each reason is that of a case (Softmax over several axes is there twice); all other cases are compared."""
    found = [why for opset, body, _, _ in CASES if (why := one_way(opset, body)) is not None]
    assert set(found) == set(ONE_WAY.values())
    assert len(CASES) - len(found) >= 15


def test_group_normalization() -> None:
    """Below 21 there is one scale for each group: no runtime that is left runs it, so it is computed here."""
    scale, bias = np.array([0.5, -2], np.float32), np.array([0.25, 1], np.float32)
    text = """<ir_version: 8, opset_import: ["" : 18]> g (float[1,4,3] x, float[2] s, float[2] b) => (float[1,4,3] y) {{
        k = Constant<value_floats = [0.5, 1.0]>()
        y = {}(x, {})
    }}"""
    for given in ("s, b", "k, k"):
        loaded = parse(text.format("GroupNormalization<num_groups = 2>", given))
        run(loaded, ConvertOpset(21))
        x = NUMBERS.reshape(-1)[:12].reshape(1, 4, 3)
        (found,) = results(io.to_proto(loaded), {"x": x, "s": scale, "b": bias})
        groups = x.astype(np.float64).reshape(2, 6)
        normal = (groups - groups.mean(1, keepdims=True)) / np.sqrt(groups.var(1, keepdims=True) + 1e-5)
        factors = (scale, bias) if given == "s, b" else (np.array([0.5, 1.0]),) * 2
        expected = normal * factors[0][:, None] + factors[1][:, None]
        np.testing.assert_allclose(found.reshape(2, 6), expected, rtol=1e-4, atol=1e-5)


REFUSED: list[tuple[int, int, str, str]] = [
    (8, 9, ("g (float[2] s, float[2,3] x) => (float[2] a, float[2,3] y) { a, y = Scan<num_scan_inputs = 1, body = b (float i, float j) => "
     "(float o, float p) { o = Add(i, j)\n p = Identity(o) }>(\"\", s, x) }"), "Scan"),
    (9, 14, "g (float[1,2,3,3] x, float[2] s) => (float[1,2,3,3] y, float[2] m) { y, m, v, sm, sv = BatchNormalization(x, s, s, s, s) }",
     "other versions cannot say"),
    (10, 11, "g (float[1,2,3,3] x, float[4] s) => (float[A,B,C,D] y) { y = Resize(x, s) }", "Resize"),
    (10, 12, "g (float[2] x) => (float[2] y, bool[2] m) { y, m = Dropout(x) }", "its mask is read"),
    (11, 13, "g (float[A,B,C] x) => (float[A,B,C] y) { y = Softmax(x) }", "convert to 12 at most"),
    (11, 13, ('g (float[1,2,3,3] x, float[4] s) => (float[A,B,C,D] y) { y = Resize<coordinate_transformation_mode = "tf_half_pixel_for_nn">'
     "(x, s, s) }"), "tf_half_pixel_for_nn"),
    (10, 11, ('g (float[1,2,4,5] x, float[2,3,3,3] w) => (float[1,3,8,10] y) { y = ConvTranspose<auto_pad = "SAME_UPPER", strides = [2, 2]>'
     "(x, w) }"), "odd element"),
    (11, 22, "g (float[1,2,N,N] x) => (float[1,2,M,M] y) { y = MaxPool<ceil_mode = 1, kernel_shape = [2, 2], strides = [3, 3]>(x) }",
     "begin in the padding"),
    (11, 19, ("g (float[1,2,N,N] x) => (float[1,2,M,M] y) { y = AveragePool<ceil_mode = 1, count_include_pad = 1, kernel_shape = [2, 2], "
     "strides = [2, 2]>(x) }"), "count_include_pad"),
    (13, 12, "g (bfloat16[2] x) => (bfloat16[2] y) { y = Relu(x) }", "takes no tensor(bfloat16)"),
    (18, 21, "g (float[N,C,3] x, float[2] s) => (float[N,C,3] y) { y = GroupNormalization<num_groups = 2>(x, s, s) }", "each channel"),
    (20, 19, "g (float[2] x) => (float[2] y) { y = Gelu(x) }", "there is no Gelu at opset 19"),
    (13, 12, "g (float[2,3] x, int64[1] a) => (float[2] y) { y = ReduceSum<keepdims = 0>(x, a) }", "not constant"),
    (13, 11, "g (float[2,3] x) => (float[2,3] y) { y = Softmax<axis = 0>(x) }", "normalizes all axes"),
    (14, 13, "g (float[2,3] x, int64[2] s) => (float[A,B] y) { y = Reshape<allowzero = 1>(x, s) }", "allowzero"),
    (13, 10, "g (int8[2] x, float[2] s) => (float[2] y) { y = DequantizeLinear<axis = 0>(x, s) }", "one scale for all"),
]  # fmt: skip


@pytest.mark.parametrize(("opset", "to", "body", "why"), REFUSED, ids=lambda part: str(part)[:30])
def test_refused_and_unchanged(opset: int, to: int, body: str, why: str) -> None:
    loaded = io.load(model(opset, body))
    infer_model(loaded, Observer())
    before = ops(loaded.graph)
    begins = rf"convert-opset{{to={to}}}: the \w+ \w+ of opset {opset} cannot be written at opset {to}: "
    with pytest.raises(ModelError, match=begins) as raised:
        run(loaded, ConvertOpset(to))
    assert why in str(raised.value)
    assert (ops(loaded.graph), loaded.opsets, loaded.ir_version) == (before, {"": opset}, 7)


def test_the_message_says_how_far_it_goes() -> None:
    loaded = parse('<ir_version: 8, opset_import: ["" : 11]> g (float[A,B,C] x) => (float[A,B,C] y) { s = Softmax(x) y = LogSoftmax(s) }')
    with pytest.raises(ModelError) as raised:
        run(loaded, ConvertOpset(13))
    assert str(raised.value) == (
        "convert-opset{to=13}: the Softmax s of opset 11 cannot be written at opset 13: it normalizes several axes at once and an "
        "extent may be 0, which no Reshape below opset 14 can say (and so it is for 1 more); convert to 12 at most, or change the node"
    )


def test_the_windows_that_are_known_to_stay() -> None:
    """A stride beyond the window matters only where it leads into the padding: here the extent is known."""
    body = "g (float[1,2,8,8] x) => (float[1,2,3,3] y) { y = MaxPool<ceil_mode = 1, kernel_shape = [2, 2], strides = [3, 3]>(x) }"
    assert [entry.version for entry in converted(model(11, body), 22).opset_import] == [22]


def test_constants_are_stored_once_for_each_graph() -> None:
    loaded = parse("""<ir_version: 3, opset_import: ["" : 11]>
        g (float[1,1,2] x, bool b) => (float[1,2] y, float[1,2] z) {
           y = Squeeze<axes = [0]>(x)
           z = If(b)<then_branch = t () => (float[1,2] p) { p = Squeeze<axes = [0]>(x) },
                     else_branch = e () => (float[1,2] q) { q = Squeeze<axes = [0]>(x) }>
        }""")
    told = Told()
    assert run(loaded, ConvertOpset(13), observer=told) == 4  # three nodes and the import
    assert told.made == [("convert-opset", "Squeeze")] * 3
    assert [len(graph.initializers) for graph in loaded.graph.walk()] == [1, 1, 1]
    assert loaded.ir_version == 7


def test_functions_keep_references_where_they_may() -> None:
    text = """<ir_version: 8, opset_import: ["" : 12, "local" : 1]>
        g (float[2,3] x) => (float[2,3] y) {{ y = local.f<a = 1>(x) }}
        <domain: "local", opset_import: ["" : 12]> f <a>(x) => (y) {{ y = {}<{}: int = @a>(x) }}"""
    loaded = parse(text.format("ReduceSum", "keepdims"))
    run(loaded, ConvertOpset(18))
    (function,) = loaded.functions.values()
    assert function.opsets == {"": 18}
    assert [node.attributes["keepdims"].reference for node in function.graph] == ["a"]
    loaded = parse(text.format("Softmax", "axis"))
    with pytest.raises(ModelError, match="supplied by the caller"):
        run(loaded, ConvertOpset(18))
    (function,) = loaded.functions.values()
    assert (loaded.opsets[""], function.opsets) == (12, {"": 12})


def test_local_functions_are_no_operators() -> None:
    """A function that the model calls Upsample is not onnx's."""
    loaded = parse("""<ir_version: 10, opset_import: ["" : 9]> g (float[2] x) => (float[2] y) { y = Upsample(x) }
        <domain: "", opset_import: ["" : 9]> Upsample (x) => (y) { y = Relu(x) }""")
    run(loaded, ConvertOpset(13))
    assert ops(loaded.graph) == ["Upsample"]


@pytest.mark.parametrize(("opset", "to", "error"), [(6, 13, ModelError), (13, 10_000, SpecError)])
def test_opsets_that_are_not_known(opset: int, to: int, error: type[Exception]) -> None:
    loaded = parse(f'<ir_version: 7, opset_import: ["" : {opset}]> g (float[2] x) => (float[2] y) {{ y = Relu(x) }}')
    with pytest.raises(error):
        run(loaded, ConvertOpset(to))


def test_every_known_version_was_read() -> None:
    """A newer onnx: read the texts of the versions that it adds, list in `schema.changes` what they change, then raise READ_UP_TO."""
    assert facts.newest_opset() <= READ_UP_TO


def test_nothing_happens_when_an_observer_forbids_it() -> None:
    loaded = parse('<ir_version: 7, opset_import: ["" : 11]> g (float[1,2] x) => (float[2] y) { y = Squeeze<axes = [0]>(x) }')
    assert run(loaded, ConvertOpset(13), observer=Told(lambda source, node: False)) == 0
    assert loaded.opsets == {"": 11}


def test_in_the_api() -> None:
    message = model(11, "g (float[1,2] x) => (float[2] y) { t = Identity(x)\n y = Squeeze<axes = [0]>(t) }")
    made = graphopt.optimize(message, opset=17, verify=True)
    assert [entry.version for entry in made.opset_import] == [17]
    assert [node.op_type for node in made.graph.node] == ["Squeeze"]
    with pytest.raises(SpecError, match="opset"):
        graphopt.optimize(message, opset=3)
    wrong: Any = "new"
    with pytest.raises(SpecError, match="whole number"):
        graphopt.optimize(message, opset=wrong)

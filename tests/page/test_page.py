"""What the report page holds: the graphs, what became of each node, and nothing that a browser would run or fetch."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import onnx
import pytest

import graphopt
from graphopt import Match, Pipeline, RulePass, SpecError, Value, io, op, rule, tensor
from graphopt.ir import Attribute, DType, Node, Tensor
from graphopt.ir.dim import Dim
from graphopt.ir.edit import Editor
from graphopt.ir.types import TensorType
from graphopt.match.rule import Declined, Rule
from graphopt.observe.page import near as near_module
from graphopt.observe.page.drawing import LONGEST, content, short, type_text
from graphopt.observe.page.history import History
from graphopt.observe.page.near import NearMisses
from graphopt.observe.report import Report
from tests.ir.graphs import relu_chain
from tests.page.models import BRANCHES, EVIL, parsed, renamed
from tests.page.pages import Held, between, reported

PLAIN = """
<ir_version: 8, opset_import: ["" : 17]>
main (float[5, 4] x, float[5, 3] c) => (float[5, 3] y)
<float[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}> {
   [product] t = MatMul(x, w)
   [sum] u = Add(t, c)
   [same] v = Identity(u)
   [last] y = Relu(v)
}
"""
RESHAPES = """
<ir_version: 8, opset_import: ["" : 17]>
main (float[4, 8] x) => (float[2, 4, 4] y)
<int64[2] s = {2, 16}, int64[1] t = {32}, int64[3] u = {2, 4, 4}> {
   a = Reshape(x, s)
   b = Reshape(a, t)
   y = Reshape(b, u)
}
"""


class Tags(HTMLParser):
    """What a browser would see: the elements and where they point."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "srcset", "poster")]


def test_every_node_is_linked_with_what_became_of_it() -> None:
    report = reported(parsed(PLAIN))
    held = Held(report.to_html())
    assert held.ops(0) == ["MatMul", "Add", "Identity", "Relu"]
    assert held.ops(1) == ["Gemm", "Relu"]
    assert held.data["twins"] == [-1, 3]
    rewrites = {rule: (gone, made) for _, rule, gone, made in held.rewrites()}
    assert rewrites["identity"] == (["Identity"], [])
    assert rewrites["matmul-add-to-gemm"] == (["Add", "MatMul"], ["Gemm"])
    assert [number for number, *_ in held.rewrites()] == [rewrite.number for rewrite in report.rewrites]


def test_what_goes_on_with_the_work_of_an_earlier_rewrite_is_linked_to_it() -> None:
    held = Held(reported(parsed(RESHAPES), "fuse-consecutive-reshapes").to_html())
    assert held.rewrites() == [
        (1, "reshape-of-reshaped", ["Reshape", "Reshape"], []),  # what it made is no more
        (2, "reshape-of-reshaped", ["Reshape"], ["Reshape"]),
    ]
    assert [rewrite[-1] for rewrite in held.data["rewrites"]] == [[], [0]]


def test_a_node_that_changed_where_it_stands_is_told_from_one_that_did_not() -> None:
    text = PLAIN.replace("[last] y = Relu(v)", "[last] y = Softmax <axis = -1> (v)")
    held = Held(reported(parsed(text), "remove-default-attributes").to_html())
    [softmax] = held.data["changed"]
    assert held.names(1)[softmax] == "last"
    assert held.data["twins"] == [0, 1, 2, 3]
    assert held.rewrites()[0][2:] == ([], ["Softmax"])


def test_subgraphs_and_functions_are_drawn_and_open_from_their_nodes() -> None:
    held = Held(between(parsed()).to_html())
    [side] = held.data["sides"]
    kinds = [graph["kind"] for graph in side["graphs"]]
    assert kinds == ["main", "subgraph", "subgraph", "function"]
    opened = {held.ops(0)[node]: [held.texts[name] for name in names[::2]] for node, names in enumerate(side["nodes"]["graphs"]) if names}
    assert opened == {"local.scale": ["body"], "If": ["then_branch", "else_branch"]}
    assert [graph["first"] for graph in side["graphs"]] == [0, 4, 5, 7]


def test_what_stood_inside_a_node_went_with_it() -> None:
    constant = BRANCHES.replace("(float[N, 4] x, bool flag)", "(float[N, 4] x)").replace("<float[4] w", "<bool flag = {1}, float[4] w")
    held = Held(reported(parsed(constant)).to_html())
    gone = {name for name, twin in zip(held.names(0), _fates(held), strict=True) if twin < 0}
    blamed = {held.names(0)[node] for rewrite in held.data["rewrites"] for node in rewrite[4]}
    assert {"kept", "negated", "choice", "inside"} <= gone <= blamed


def _fates(held: Held) -> list[int]:
    fates = [-1] * len(held.ops(0))
    for node, twin in enumerate(held.data["twins"]):
        if twin >= 0:
            fates[twin] = node
    return fates


def test_near_misses_are_grouped_and_lead_to_their_nodes() -> None:
    text = RESHAPES.replace("Reshape(x, s)", "Transpose <perm = [1, 0]> (x)").replace("int64[2] s = {2, 16}, ", "")
    held = Held(reported(parsed(text), "eliminate-noop-transpose, fuse-consecutive-reshapes").to_html())
    near = held.data["near"]
    said = {held.texts[rule]: (held.texts[reason], [held.ops(1)[node] for node, _ in nodes]) for rule, reason, nodes in near["groups"]}
    assert said["transpose-in-order"] == ("perm (1, 0) moves axes", ["Transpose"])
    assert (near["passed"], near["unlisted"]) == (0, 0)


@rule(op.Relu(op.Neg(op.Sin(tensor("x")))), exactness="rounding")
def relu_of_sin(m: Match, x: Value) -> Value | Declined:
    """Relu(Neg(Sin(x))) -> nothing"""
    return m.no("not today")


@rule(op.Sin(tensor("x")), exactness="rounding")
def sin_to_cos(m: Match, x: Value) -> Value:
    """Sin(x) -> Cos(x)"""
    return m.op.Cos(x)


@pytest.mark.parametrize(("later", "still"), [([], True), ([sin_to_cos], False)])
def test_a_near_miss_whose_pattern_went_away_is_none(later: list[Rule], still: bool) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> main (float[4] x) => (float[4] y) { t = Sin(x) u = Neg(t) y = Relu(u) }'
    passes = [RulePass.of("one", relu_of_sin), *(RulePass.of("two", each) for each in later)]
    near = Held(reported(parsed(text), Pipeline(passes)).to_html()).data["near"]
    assert (len(near["groups"]), near["passed"]) == ((1, 0) if still else (0, 1))


def test_a_near_miss_is_none_once_the_rule_applied_there() -> None:
    model, _, nodes = relu_chain(2)
    history = History()
    history.pass_began("pass", model.graph)
    for node in nodes:
        history.declined("rule", node, lambda: "not yet")
    history.applied("rule", nodes[0], ())
    history.applied("another-rule", nodes[1], ())
    history.finish(model)
    [(_, _, listed)] = history.as_json()["near"]["groups"]
    assert [place for place, _ in listed] == [1]


@pytest.mark.parametrize("change", ["input", "attribute", "reader"])
def test_a_near_miss_is_none_once_what_it_looked_at_changed(change: str) -> None:
    model, _, nodes = relu_chain(4)
    editor = Editor(model)
    near = NearMisses()
    near.add("rule", nodes[2], lambda: "no")
    near.add("pass", nodes[3], lambda: "no")
    assert [stands for *_, stands in near.standing({})] == [True, True]
    if change == "input":
        editor.set_input(nodes[1], 0, model.graph.inputs[0])
    elif change == "attribute":
        editor.set_attribute(nodes[1], "axis", Attribute.of(1))
    else:
        editor.insert(Node("Relu", [nodes[1].output]), model.graph)
    # The one at the last node looked no further than to the node before it.
    assert [stands for *_, stands in near.standing({})] == [False, True]


def test_near_misses_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_module, "KEPT", 3)
    model, _, nodes = relu_chain(6)
    history = History()
    history.pass_began("pass", model.graph)
    for node in nodes:
        history.declined("rule", node, lambda: "'%a' is read twice")
        history.declined("rule", node, lambda: "'%b' is read twice")
    history.finish(model)
    near = history.as_json()["near"]
    [(_, reason, listed)] = near["groups"]
    assert history.texts.all()[reason] == "… is read twice"
    assert (len(listed), near["unlisted"]) == (3, 6)


def test_nothing_that_a_model_says_becomes_markup(tmp_path: Path) -> None:
    report = reported(renamed(parsed(PLAIN), "last", EVIL))
    report.source = f"/models/{EVIL}.onnx"
    report.warnings.append(EVIL)
    html = report.to_html()
    assert EVIL not in html
    assert EVIL in Held(html).names(0)
    plain = reported(parsed(PLAIN)).to_html()
    assert Tags(html).tags == Tags(plain).tags


def test_the_page_asks_for_nothing_from_anywhere() -> None:
    html = reported(parsed()).to_html()
    seen = Tags(html)
    assert seen.links == ["data:,"]
    assert not {"iframe", "img", "object", "embed", "base"} & set(seen.tags)
    assert "default-src 'none'" in html
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    scripts = re.findall(r"<script(?! type=\"application/json\")[^>]*>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 3
    for call in ("fetch(", "XMLHttpRequest", "WebSocket(", "importScripts(", "EventSource(", "sendBeacon", "import("):
        assert call not in "".join(scripts)


def test_the_libraries_come_with_their_licences() -> None:
    html = reported(parsed(PLAIN)).to_html()
    for words in ("@dagrejs/dagre 3.1.3", "MIT", "Copyright 2010-2026 Mike Bostock", "BSD-3-Clause", "Robert Penner"):
        assert words in html


def test_a_page_of_a_small_model_is_small() -> None:
    assert len(reported(parsed(PLAIN)).to_html()) < 300_000


def test_no_weight_is_read() -> None:
    class Unreadable:
        nbytes = 1 << 40

        def view(self) -> memoryview:
            raise AssertionError("a weight was read")

    weight = Tensor(DType.float32, (1 << 19, 1 << 19), Unreadable())
    assert content(weight) == ""
    assert short(Attribute.of(weight)) == "float32[524288, 524288]"


def test_small_parameters_are_shown() -> None:
    assert content(Tensor.of(np.array([0, -1, 64]))) == "[0, -1, 64]"
    assert content(Tensor.of(np.array(0.5, np.float32))) == "0.5"
    assert content(Tensor.of(np.array([0.5, 1.5], np.float32))) == ""
    assert content(Tensor.of(np.arange(9))) == ""
    assert short(Attribute.of(Tensor.of(np.array([1, 2])))) == "int64[2] [1, 2]"
    assert len(short(Attribute.of("a" * 5000))) < LONGEST + 40


def test_types_are_written_for_people() -> None:
    own = Dim.symbol("?x.0")
    assert type_text(TensorType(DType.float32, (Dim.symbol("N"), own, None, 3))) == "float32[N, ?, ?, 3]"
    assert type_text(None) == ""


@pytest.mark.parametrize("text", [PLAIN, BRANCHES])
def test_two_models_are_matched_without_a_run(text: str) -> None:
    before = parsed(text)
    after = graphopt.optimize(parsed(text))
    held = Held(between(before, after).to_html())
    assert held.data["rewrites"] == []
    assert [0, 0] in held.data["graphs"]
    assert any(twin >= 0 for twin in held.data["twins"])


def test_a_model_without_nodes_has_a_page() -> None:
    empty = parsed('<ir_version: 8, opset_import: ["" : 17]> main (float[2] x) => (float[2] x) { }')
    assert Held(reported(empty).to_html()).ops(0) == []


def test_names_may_be_missing_or_the_same() -> None:
    proto = parsed(PLAIN)
    for node in proto.graph.node[:2]:
        node.name = "twice"
    proto.graph.node[2].name = ""
    held = Held(reported(proto).to_html())
    assert held.data["twins"] == [-1, 3]


def test_a_model_that_trains_and_stays_as_it_is_has_a_page() -> None:
    proto = parsed(PLAIN)
    proto.training_info.add()
    held = Held(reported(proto).to_html())
    assert held.data["twins"] == [0, 1, 2, 3]


def test_a_report_that_was_not_watched_for_it_says_so() -> None:
    with pytest.raises(SpecError, match="knows nothing of the graphs"):
        Report("level1").to_html()


def test_a_report_can_be_filled_again() -> None:
    report = reported(parsed(PLAIN))
    assert report.fired()
    graphopt.optimize(parsed(PLAIN), 0, report=report)
    assert not report.fired()
    assert len(Held(report.to_html()).ops(1)) == 4


def test_what_is_no_text_in_a_name_survives() -> None:
    model = io.load(parsed(PLAIN))
    next(iter(model.graph)).name = "half \ud800 of a pair"
    report = Report()
    graphopt.optimize(model, 0, report=report)
    html = report.to_html()
    html.encode()
    assert "half \ud800 of a pair" in Held(html).names(0)


def test_the_result_is_the_same_with_and_without_the_page() -> None:
    with_page = Report()
    first = graphopt.optimize(parsed(), report=with_page)
    assert first == graphopt.optimize(parsed())
    onnx.checker.check_model(first)

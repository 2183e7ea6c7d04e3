"""A plug-in's shape functions tell the types of its operators, and can do no harm."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from graphopt.errors import SpecError
from graphopt.infer import shape_functions
from graphopt.io import parse_text
from graphopt.ir import DType, Node, TensorType, Type
from graphopt.observe.observer import Observer
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.registry import Registry, installed
from graphopt.pipeline.runner import run_pipeline
from graphopt.schema import facts
from graphopt.schema.facts import OperatorFacts, ParameterFacts
from tests.pipeline.fakes import registry

FLOATS = frozenset({"tensor(float)"})
X, Y = ParameterFacts("x", "T", FLOATS), ParameterFacts("y", "T", FLOATS)
HALVE = OperatorFacts("my.domain", "Halve", 1, (X,), (Y,), 1, 1)
TEXT = """<ir_version: 10, opset_import: ["" : 20, "my.domain" : 1]>
g (float[N, 8] x) => (y) { a = my.domain.Halve(x) y = Relu(a) }"""


class Told(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []

    def warned(self, source: str, message: str) -> None:
        self.messages.append((source, message))


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_REGISTERED", [])
    monkeypatch.setattr(facts, "_KNOWN", {})
    monkeypatch.setattr(shape_functions, "_FUNCTIONS", {})


def halve(node: Node) -> tuple[Type | None, ...]:
    """Halve(x): the last axis half as long."""
    type = node.inputs[0].type if node.inputs[0] is not None else None
    if not isinstance(type, TensorType) or type.shape is None or not isinstance(type.shape[-1], int):
        return (None,)
    return (TensorType(type.dtype, (*type.shape[:-1], type.shape[-1] // 2)),)


def fails(node: Node) -> tuple[Type | None, ...]:
    raise LookupError("nothing there")


def says_two(node: Node) -> tuple[Type | None, ...]:
    return None, None


def says_nonsense(node: Node) -> object:
    return ("float32[N, 4]",)


def says_negative(node: Node) -> tuple[Type | None, ...]:
    return (TensorType(DType.float32, (-1,)),)


def says_another_type(node: Node) -> tuple[Type | None, ...]:
    return (TensorType(DType.int64, (4,)),)


def inferred(target: str, *, operators: bool = False) -> tuple[str, list[tuple[str, str]]]:
    """The type of the output, and what was warned of."""
    plugin = Plugin("soft", shapes={"my.domain.Halve": target}, operators={"Halve": f"{__name__}:HALVE"} if operators else {})
    model, told = parse_text(TEXT), Told()
    run_pipeline(Pipeline.parse("eliminate-identity"), model, told, registry=Registry((*installed().plugins, plugin)))
    return str(model.graph.outputs[0].type), told.messages


@pytest.mark.parametrize("operators", [False, True])
def test_a_shape_function_tells_the_types(operators: bool) -> None:
    assert inferred(f"{__name__}:halve", operators=operators) == ("float32[N, 4]", [])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("fails", "failed: LookupError: nothing there"),
        ("absent", "failed: AttributeError"),
        ("TEXT", "failed: TypeError: it is '<ir_version"),
        ("says_two", "answered 2 types for 1 outputs"),
        ("says_nonsense", "answered 'float32[N, 4]', which is no type"),
        ("says_negative", "which is no type"),
        ("says_another_type", "answered int64[4] for y, which its plug-in says is one of tensor(float)"),
    ],
)
def test_a_function_that_fails_leaves_unknown_what_it_should_tell(name: str, why: str) -> None:
    type, warnings = inferred(f"{__name__}:{name}", operators=True)
    assert type == "None"
    ((source, message),) = warnings
    assert source == "plug-ins"
    assert message.startswith("the shape function that the plug-in 'soft' has for my.domain.Halve")
    assert why in message


def test_nothing_is_imported_before_such_a_node_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin("soft", shapes={"my.domain.Halve": "no_such_module:halve"})
    known = Registry((*installed().plugins, plugin))
    told = Told()
    model = parse_text('<ir_version: 10, opset_import: ["" : 20]> g (float[N] x) => (y) { y = Relu(x) }')
    run_pipeline(Pipeline.parse("eliminate-identity"), model, told, registry=known)
    assert told.messages == []
    module = ModuleType("no_such_module")
    module.halve = halve  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setitem(sys.modules, "no_such_module", module)
    model = parse_text(TEXT)
    run_pipeline(Pipeline.parse("eliminate-identity"), model, told, registry=known)
    assert str(model.graph.outputs[0].type) == "float32[N, 4]"


def test_operators_of_onnx_are_not_for_plugins_to_describe() -> None:
    for name in ("Relu", "ai.onnx.Relu"):
        known = registry(Plugin("soft", shapes={name: f"{__name__}:halve"}))
        known.announce_operators()
        assert any(repr(name) in failure for failure in known.failures)


def test_two_owners_of_one_function_are_named() -> None:
    with pytest.raises(SpecError, match=r"'hard'.*'soft'"):
        registry(Plugin("soft", shapes={"a.B": "x:y"}), Plugin("hard", shapes={"a.B": "x:z"}))

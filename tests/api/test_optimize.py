"""`graphopt.optimize`: returns the kind it was given, never changes the caller's message, says what is wrong in the caller's words."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import onnx
import pytest
from onnx import ModelProto

import graphopt
from graphopt.errors import InternalError, ModelError, SpecError
from graphopt.ir import Graph, Node
from graphopt.observe.observer import Observer
from graphopt.pipeline.base import Context, Pass
from graphopt.pipeline.pipeline import Pipeline
from tests.api.models import BEFORE_IR_4, IDENTITIES, model, operators, write, write_with_weights


class MakeWrong(Pass):
    """Add becomes Sub: valid, same signature, and wrong."""

    name: ClassVar[str] = "make-wrong"

    def run(self, graph: Graph, context: Context) -> int:
        for node in graph:
            if node.op == "Add" and context.observer.may_apply(self.name, node):
                fresh = context.editor.insert(Node("Sub", node.inputs), graph, node)
                fresh.output.type = node.output.type
                context.editor.replace(node.output, fresh.output)
                context.editor.erase(node)
                context.observer.applied(self.name, node, (fresh,))
                return 1
        return 0


class RenameOutput(Pass):
    """Breaks the promise."""

    name: ClassVar[str] = "rename-output"

    def run(self, graph: Graph, context: Context) -> int:
        graph.output_names = ("z",)
        context.editor.rename(graph.outputs[0], "z")
        return 1


class Explode(Pass):
    """Raises."""

    name: ClassVar[str] = "explode"

    def run(self, graph: Graph, context: Context) -> int:
        for node in graph:
            raise ZeroDivisionError(node.op)
        return 0


def test_a_message_gives_a_message_and_stays_as_it_is() -> None:
    given = model()
    before = given.SerializeToString(deterministic=True)
    result = graphopt.optimize(given)
    assert isinstance(result, ModelProto)
    assert result is not given
    assert given.SerializeToString(deterministic=True) == before
    assert operators(result) == ["Add", "Relu"]
    onnx.checker.check_model(result, full_check=True)


def test_bytes_give_bytes() -> None:
    result = graphopt.optimize(model().SerializeToString())
    assert operators(onnx.load_from_string(result)) == ["Add", "Relu"]


def test_a_path_gives_a_model_and_leaves_the_file_alone(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = path.read_bytes()
    result = graphopt.optimize(str(path))
    assert isinstance(result, graphopt.Model)
    assert path.read_bytes() == before
    graphopt.save(result, tmp_path / "out.onnx")
    assert operators(onnx.load(tmp_path / "out.onnx")) == ["Add", "Relu"]


def test_a_model_is_changed_in_place_and_returned(tmp_path: Path) -> None:
    loaded = graphopt.load(write(tmp_path))
    assert graphopt.optimize(loaded) is loaded
    assert [node.op for node in loaded.graph] == ["Add", "Relu"]


@pytest.mark.parametrize("kind", ["path", "message", "model"])
def test_with_output_the_result_is_written_and_its_path_returned(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path)
    sources: dict[str, Path | onnx.ModelProto | graphopt.Model] = {"path": path, "message": model(), "model": graphopt.load(path)}
    output = graphopt.optimize(sources[kind], output=tmp_path / "out.onnx")
    assert output == tmp_path / "out.onnx"
    assert operators(onnx.load(output)) == ["Add", "Relu"]


def test_input_and_output_may_be_the_same_file(tmp_path: Path) -> None:
    path = write_with_weights(tmp_path)
    expected = onnx.load(path).graph.initializer[0].raw_data
    graphopt.optimize_file(path, path)
    result = onnx.load(path)
    assert operators(result) == ["MatMul"]
    assert result.graph.initializer[0].raw_data == expected


def test_level_0_changes_nothing() -> None:
    given = model()
    assert graphopt.optimize(given, level=0) == given


def test_a_pipeline_may_be_text_or_an_object() -> None:
    text = "eliminate-dead-nodes"
    by_text = graphopt.optimize(model(), pipeline=text)
    by_object = graphopt.optimize(model(), pipeline=Pipeline.parse(text))
    assert operators(by_text) == operators(by_object) == ["Identity", "Identity", "Add", "Relu"]
    assert len(by_text.graph.initializer) == 1


def test_only_and_skip_choose_passes() -> None:
    assert operators(graphopt.optimize(model(), only=["eliminate-dead-nodes"])) == ["Identity", "Identity", "Add", "Relu"]
    assert operators(graphopt.optimize(model(), skip="eliminate-identity")) == ["Identity", "Identity", "Add", "Relu"]


UNTYPED: Callable[..., object] = graphopt.optimize  # as a program calls it that nobody checks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 7}, "there is no level 7; known: 1, 2, 3, and 0 for no optimization at all"),
        ({"level": "1"}, "there is no level '1'"),
        ({"only": ["eliminate-identiti"]}, "no pass is called 'eliminate-identiti'; did you mean 'eliminate-identity'?"),
        ({"skip": [3]}, "skip takes names of passes, not 3"),
        ({"pipeline": "level1, eliminate-identiti"}, "pipeline, column 9: no pass is called"),
        ({"pipeline": ["level1"]}, "pipeline must be a Pipeline or its text"),
        ({"observer": print}, "the observer <built-in function print> is none: give an object of a class made of graphopt.Observer"),
        ({"report": 42}, "the report 42 is none: give a path, or a graphopt.Report()"),
    ],
)
def test_what_is_asked_wrongly_is_said_before_anything_is_read(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        UNTYPED("no such file.onnx", **options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("source", [None, 3, {"model": "x.onnx"}])
def test_what_is_no_model_is_the_callers_fault(source: object) -> None:
    with pytest.raises(SpecError, match=r"no model can be read from a \w+: give a path, a ModelProto or the bytes of one"):
        UNTYPED(source)


def test_a_missing_file_is_the_models_fault(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing\.onnx"):
        graphopt.optimize(tmp_path / "missing.onnx")


def test_initializers_that_are_inputs_are_constants_only_when_asked() -> None:
    given = model(BEFORE_IR_4)
    assert operators(graphopt.optimize(given)) == ["Abs", "Add"]
    result = graphopt.optimize(given, initializers_are_constants=True)
    assert operators(result) == ["Add"]
    assert [value.name for value in result.graph.input] == ["x"]
    assert result.ir_version == 4
    onnx.checker.check_model(result, full_check=True)


def test_a_right_result_is_verified_and_returned() -> None:
    assert operators(graphopt.optimize(model(), verify=True)) == ["Add", "Relu"]
    frozen = graphopt.optimize(model(BEFORE_IR_4), verify=True, initializers_are_constants=True)
    assert operators(frozen) == ["Add"]


def test_a_wrong_result_is_refused_and_the_rewrite_named(tmp_path: Path) -> None:
    pipeline = Pipeline(["eliminate-identity", MakeWrong()])
    with pytest.raises(InternalError) as caught:
        graphopt.optimize(write(tmp_path), pipeline=pipeline, verify=True, output=tmp_path / "out.onnx", report=tmp_path / "report.json")
    message = str(caught.value)
    assert "computes something else; to blame is rewrite 3: the rule make-wrong at d in graph 'agraph', in the pass make-wrong" in message
    assert "nothing was written" in message
    assert not (tmp_path / "out.onnx").exists()
    verification = json.loads((tmp_path / "report.json").read_text())["verification"]
    assert verification["verdict"] == "different"
    assert verification["culprit"].startswith("rewrite 3: the rule make-wrong")


def test_a_wrong_result_is_found_for_a_model_in_place_as_well(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="to blame is rewrite 1: the rule make-wrong"):
        graphopt.optimize(graphopt.load(write(tmp_path)), pipeline=Pipeline([MakeWrong()]), verify=True)


def test_a_changed_signature_is_never_returned() -> None:
    with pytest.raises(InternalError, match=r"the signature of the model changed: the outputs were y \(float32\), they are z \(float32\)"):
        graphopt.optimize(model(), pipeline=Pipeline([RenameOutput()]))


def test_a_pass_that_breaks_leaves_a_reproducer(tmp_path: Path) -> None:
    path, kept = write(tmp_path), tmp_path / "repro.onnx"
    with pytest.raises(InternalError) as caught:
        graphopt.optimize(path, pipeline=Pipeline(["eliminate-identity", Explode()]), reproducer=kept)
    what, where, advice = str(caught.value).splitlines()
    assert what == "the pass explode failed on graph 'agraph' at %d = Add(%x, %c): ZeroDivisionError: Add"
    assert where.startswith(f"raised at {__file__}:")
    assert advice == (
        f"This is a bug. Please report it, with the model: graphopt optimize {kept} --dry-run -p 'eliminate-identity, explode'"
    )
    assert onnx.load(kept).graph == onnx.load(path).graph


def test_the_observer_hears_what_happens() -> None:
    class Hears(Observer):
        def __init__(self) -> None:
            self.applied_rules: list[str] = []

        def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
            self.applied_rules.append(source)

    hears = Hears()
    graphopt.optimize(model(), observer=hears)
    assert len(hears.applied_rules) == 3  # two Identities and an initializer that nobody reads


def test_the_report_says_what_was_done(tmp_path: Path) -> None:
    path = write(tmp_path)
    graphopt.optimize(path, output=tmp_path / "out.onnx", report=tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["pipeline"] == "level1"
    assert data["before"]["operators"] == {"Add": 1, "Identity": 2, "Relu": 1}
    assert data["after"]["operators"] == {"Add": 1, "Relu": 1}
    assert data["before"]["file_bytes"] == path.stat().st_size
    assert data["after"]["file_bytes"] == (tmp_path / "out.onnx").stat().st_size
    assert data["signature"]["unchanged"]
    assert {rule["name"]: rule["fired"] for rule in data["rules"] if rule["fired"]}
    assert set(data["names"]) == {"a", "b"}
    assert list(data["seconds"]) == ["load", "optimize", "save"]


def test_external_data_count_as_bytes_of_the_file(tmp_path: Path) -> None:
    path = write_with_weights(tmp_path)
    graphopt.optimize(path, output=tmp_path / "out.onnx", report=tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["before"]["file_bytes"] == path.stat().st_size + (tmp_path / "heavy.bin").stat().st_size


def test_warnings_go_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    contradicting = IDENTITIES.replace("=> (float[N, 3] y)", "=> (float[N, 4] y)")
    with caplog.at_level(logging.WARNING, logger="graphopt"):
        graphopt.optimize(model(contradicting))
    assert "y" in caplog.text

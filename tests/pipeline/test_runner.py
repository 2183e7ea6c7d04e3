"""What a pipeline runs, in which order and how often, and what is said when a pass breaks."""

from __future__ import annotations

import re

import pytest

from graphopt.errors import InternalError, SpecError
from graphopt.ir import Function, Graph, Model, Node
from graphopt.observe.observer import Observer
from graphopt.observe.watch import VerifyEach
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.runner import passes_of, resolve, run_pipeline
from tests.ir.graphs import relu_chain
from tests.pipeline.fakes import HERE, registry


class Events(Observer):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def pass_began(self, name: str, graph: Graph) -> None:
        self.heard.append(f"{name} on {graph.name}")

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        self.heard.append(f"applied {source}")

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        self.heard.append(f"{changes} changes")
        assert seconds >= 0

    def warned(self, source: str, message: str) -> None:
        self.heard.append(f"{source}: {message}")


def run(text: str, model: Model, observer: Observer | None = None, **options: tuple[str, ...]) -> int:
    return run_pipeline(Pipeline.parse(text, registry()), model, observer, registry=registry(), **options)


def test_passes_run_in_order_and_their_changes_add_up() -> None:
    model, _, _ = relu_chain(4)
    events = Events()
    assert run("drop-relu, take-all{count=4}, drop-relu", model, events) == 2
    assert events.heard == [
        "drop-relu on chain", "applied drop-relu", "1 changes",
        "take-all{count=4} on chain", "0 changes",
        "drop-relu on chain", "applied drop-relu", "1 changes",
    ]  # fmt: skip
    assert len(model.graph) == 2


def test_a_pass_runs_on_the_bodies_of_functions_as_well() -> None:
    model, _, _ = relu_chain(1)
    function = Function("local", "Body", "", model)
    model.functions[function.key] = function
    events = Events()
    run("take-all", model, events)
    assert [event for event in events.heard if " on " in event] == ["take-all on chain", "take-all on Body"]


def test_a_fixpoint_runs_until_nothing_changes() -> None:
    model, _, _ = relu_chain(6)
    assert run("fixpoint(drop-relu)", model) == 5
    assert len(model.graph) == 1


def test_a_level_runs_until_nothing_changes_and_repeats_no_pass_that_cannot_see_anything_new() -> None:
    model, _, _ = relu_chain(3)
    events = Events()
    assert run("level1", model, events) == 2
    began = [event.split(" on ")[0] for event in events.heard if " on " in event]
    assert began == ["take-all", "drop-relu", "take-all", "drop-relu", "take-all", "drop-relu"]


def test_a_fixpoint_that_is_not_reached_is_an_error_that_names_the_passes() -> None:
    model, _, _ = relu_chain(1)
    with pytest.raises(SpecError) as caught:
        run("fixpoint{limit=7}(take-all, relu-to-neg, neg-to-relu)", model)
    assert str(caught.value) == (
        "fixpoint{limit=7}(take-all, relu-to-neg, neg-to-relu) still changes the model after 7 rounds; in the last one relu-to-neg and "
        "neg-to-relu changed it: if these undo each other's work take one out, otherwise raise the limit: fixpoint{limit=14}(...)"
    )


def test_a_level_that_does_not_settle_is_a_warning() -> None:
    model, _, _ = relu_chain(40)
    events = Events()
    run("level1", model, events)
    assert events.heard[-1] == "level1: level1 still changes the model after 20 rounds; in the last one drop-relu changed it"


def chosen(text: str, **options: tuple[str, ...]) -> list[str]:
    known = registry(Plugin("stranger", passes={"comes-last": f"{HERE}:ComesLast"}))
    return [step.name for step in passes_of(resolve(Pipeline.parse(text, known), known, **options))]


def test_what_runs() -> None:
    assert chosen("level1, level2{target=fast-cpu}") == ["take-all", "drop-relu", "comes-last", "neg-to-relu", "drop-relu", "fuse-relu"]
    assert chosen("level1, -drop-relu, drop-relu") == ["take-all", "comes-last", "drop-relu"]
    assert chosen("fixpoint(level1, drop-relu), -drop-relu") == ["take-all", "comes-last", "drop-relu"]
    assert chosen("drop-relu, level1, -drop-relu, level1") == ["drop-relu", "take-all", "comes-last", "take-all", "drop-relu", "comes-last"]
    assert chosen("level1, level2{target=slow-cpu}", only=("drop-relu", "fuse-relu")) == ["drop-relu", "drop-relu", "fuse-relu"]
    assert chosen("level1, fixpoint(drop-relu)", skip=("drop-relu",)) == ["take-all", "comes-last"]


def test_only_and_skip_are_checked() -> None:
    with pytest.raises(SpecError, match="no pass is called 'drop-rleu'; did you mean 'drop-relu'"):
        chosen("level1", skip=("drop-rleu",))
    with pytest.raises(SpecError, match="the pass 'fuse-relu' is not among those that would run: it belongs to level 2"):
        chosen("level1", only=("fuse-relu",))
    with pytest.raises(SpecError, match="it belongs to no level, name it in a pipeline"):
        chosen("level1", only=("needs-option",))
    assert chosen("level1", skip=("fuse-relu",)) == ["take-all", "drop-relu", "comes-last"]
    assert chosen("level1", only=("take-all", "drop-relu"), skip=("take-all",)) == ["drop-relu"]
    with pytest.raises(SpecError, match=r"nothing would run: what is to run alone \(drop-relu\) is to be left out as well"):
        chosen("level1", only=("drop-relu",), skip=("drop-relu", "take-all"))


def test_a_pass_that_raises_is_an_internal_error_with_pass_graph_and_node() -> None:
    model, _, _ = relu_chain(1)
    with pytest.raises(InternalError) as caught:
        run("take-all, break", model)
    what, where = str(caught.value).splitlines()
    assert what == "the pass break failed on graph 'chain' at %Relu = Relu(%x): KeyError: 'Relu'"
    assert re.fullmatch(r"raised at .*fakes\.py:\d+", where)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_pass_that_breaks_the_graph_is_named_when_each_is_verified() -> None:
    model, _, _ = relu_chain(2)
    with pytest.raises(InternalError, match=r"the pass corrupt failed on graph 'chain'.*: .*counts the readers"):
        run("take-all, corrupt", model, VerifyEach())


def test_a_pass_that_forgets_to_say_what_it_changed_is_told_so() -> None:
    model, _, _ = relu_chain(1)
    with pytest.raises(InternalError, match="forget-return failed on graph 'chain': it returned None, not how many changes it made"):
        run("forget-return", model)


def test_an_observer_may_leave_a_run_out() -> None:
    class Never(Observer):
        def may_run(self, name: str, graph: Graph) -> bool:
            return False

    model, _, _ = relu_chain(3)
    assert run("drop-relu", model, Never()) == 0
    assert len(model.graph) == 3


def test_what_the_registry_left_out_is_told() -> None:
    known = registry(Plugin("stranger", passes={"gone": "no_such_module:Gone"}))
    model, _, _ = relu_chain(1)
    events = Events()
    run_pipeline(Pipeline.parse("level1", known), model, events, registry=known)
    assert events.heard[0].startswith("plug-ins: the pass 'gone' is left out: ")

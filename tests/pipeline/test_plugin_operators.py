"""A plug-in's operator facts make its operators known: they may be merged, which unknown ones never are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphopt.io import parse_text
from graphopt.observe.observer import Observer
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.plugin import Plugin
from graphopt.pipeline.registry import Registry, installed
from graphopt.pipeline.runner import run_pipeline
from graphopt.schema import facts
from graphopt.schema.facts import OperatorFacts, ParameterFacts

FLOATS = frozenset({"tensor(float)"})
X, Y = ParameterFacts("x", "T", FLOATS), ParameterFacts("y", "T", FLOATS)
SOFTEN = OperatorFacts("my.domain", "Soften", 1, (X,), (Y,), 1, 1)
NEWER = replace(SOFTEN, since_version=2)
NO_FACTS = "facts"
TEXT = """<ir_version: 10, opset_import: ["" : 20, "my.domain" : 1]>
g (float[2] x) => (float[2] y) { a = my.domain.Soften(x) b = my.domain.Soften(x) y = Add(a, b) }"""


def softened(registry: Registry) -> int:
    """How many nodes are left after equal ones were merged."""
    model = parse_text(TEXT)
    run_pipeline(Pipeline.parse("eliminate-common-subexpressions"), model, Observer(), registry=registry)
    return len(model.graph)


def with_operator(target: str) -> Registry:
    """Our own passes, and a plug-in that describes one operator."""
    return Registry((*installed().plugins, Plugin("soft", operators={"Soften": target})))


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_REGISTERED", [])
    monkeypatch.setattr(facts, "_KNOWN", {})


def test_an_operator_that_nobody_describes_is_opaque() -> None:
    assert softened(installed()) == 3


def test_an_operator_that_a_plugin_describes_is_known() -> None:
    assert softened(with_operator(f"{__name__}:SOFTEN")) == 2


def test_of_two_descriptions_of_an_operator_one_counts_and_the_other_is_told() -> None:
    """Another version of the operator is none of the same."""
    soft = Plugin("soft", operators={"Soften": f"{__name__}:SOFTEN", "NewSoften": f"{__name__}:NEWER"})
    registry = Registry((*installed().plugins, soft, Plugin("too", operators={"Mine": f"{__name__}:SOFTEN"})))
    assert softened(registry) == 2
    (told,) = registry.failures
    assert told.startswith("my.domain.Soften is described twice: ") and told.endswith("of the plug-in 'too' does not")


def test_facts_that_are_none_are_reported_and_left_out() -> None:
    registry = with_operator(f"{__name__}:NO_FACTS")
    assert softened(registry) == 3
    assert any("'Soften' stays opaque" in failure for failure in registry.failures)



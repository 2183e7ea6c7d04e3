"""Pipelines as text: each prints as the other, and an error points at the character and suggests the near name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphopt.errors import SpecError
from graphopt.pipeline.base import Pass
from graphopt.pipeline.options import ByteSize
from graphopt.pipeline.pipeline import Fixpoint, LevelStep, Pipeline, Skip, Step, When
from tests.pipeline.fakes import DropRelu, Mode, NeedsOption, TakeAll, registry

KNOWN = registry()

take_all = st.builds(
    TakeAll,
    strict=st.booleans(),
    count=st.integers(),
    ratio=st.floats(allow_nan=False),
    word=st.text(),
    max_growth=st.integers(0, 1 << 50).map(ByteSize),
    choice=st.sampled_from(["auto", "never"]),
    mode=st.sampled_from(Mode),
    operators=st.lists(st.text(), max_size=3).map(tuple),
    limit=st.none() | st.integers(),
    nickname=st.none() | st.text(),
)
passes = take_all | st.builds(DropRelu) | st.builds(NeedsOption, amount=st.integers())
levels = st.sampled_from([LevelStep(0), LevelStep(1), LevelStep(2, "fast-cpu"), LevelStep(3, "fast-cpu"), LevelStep(2, "slow-cpu")])
targets = st.lists(st.sampled_from(["fast-cpu", "slow-cpu"]), min_size=1, max_size=3)


def nested(inner: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    some = st.lists(inner, max_size=3)
    within = st.lists(inner | st.just(LevelStep(2)), max_size=3)  # there a level need not say its target
    return (
        st.builds(Fixpoint, some, st.integers(1, 99))
        | st.builds(When, within, target=targets)
        | st.builds(When, within, not_target=targets)
    )


steps = st.recursive(passes | levels, nested, max_leaves=6)


@st.composite
def pipelines(draw: Any) -> Pipeline:  # Any: hypothesis' draw
    found: list[Step] = draw(st.lists(steps, max_size=4))
    if draw(st.booleans()):
        found = [LevelStep(1), Skip("drop-relu"), *found]
    return Pipeline(found)


@given(pipelines())
def test_what_is_printed_parses_back_equal(pipeline: Pipeline) -> None:
    assert Pipeline.parse(str(pipeline), KNOWN) == pipeline


def test_the_grammar_by_example() -> None:
    text = "level1, -drop-relu, fixpoint{limit=5}(take-all{max-growth=1MiB strict}, drop-relu), drop-relu"
    assert Pipeline.parse(text, KNOWN).steps == (
        LevelStep(1),
        Skip("drop-relu"),
        Fixpoint((TakeAll(max_growth=ByteSize(1 << 20), strict=True), DropRelu()), 5),
        DropRelu(),
    )
    assert str(Pipeline.parse(text, KNOWN)) == text.replace("max-growth=1MiB strict", "strict=true max-growth=1MiB")


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("strict", "strict", True),
        ("strict=false", "strict", False),
        ("count=-7", "count", -7),
        ("ratio=1e-3", "ratio", 0.001),
        ('word="a, b}"', "word", "a, b}"),
        ("max-growth=64kB", "max_growth", 64000),
        ("max-growth=1.5KiB", "max_growth", 1536),
        ("choice=never", "choice", "never"),
        ("mode=fast-math", "mode", Mode.FAST_MATH),
        ("operators=[Conv, com.microsoft.Gelu]", "operators", ("Conv", "com.microsoft.Gelu")),
        ("operators=Conv", "operators", ("Conv",)),
        ("limit=none", "limit", None),
        ("limit=4", "limit", 4),
        ('nickname="none"', "nickname", "none"),
    ],
)
def test_each_type_of_option_is_read(text: str, field: str, value: object) -> None:
    (step,) = Pipeline.parse(f"take-all{{{text}}}", KNOWN).steps
    assert getattr(step, field) == value
    assert all(getattr(step, other.name) == other.default for other in fields(TakeAll) if other.name != field)


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("level1, drop-rleu", 8, "no pass is called 'drop-rleu'; did you mean 'drop-relu'?"),
        ("level9", 0, "there is no level9; known: level0, level1, level2, level3"),
        ("level1, -drop-relo", 9, "no pass is called 'drop-relo'; did you mean 'drop-relu'?"),
        ("-drop-relu", 0, "no level stands before -drop-relu for it to be left out of"),
        ("drop-relu drop-relu", 10, "expected ',', found 'drop-relu'"),
        ("drop-relu,, drop-relu", 10, "expected a pass, a level, fixpoint(...) or when{...}(...), found ','"),
        ("fixpoint(drop-relu", 18, "expected ')', found the end"),
        ("fixpoint drop-relu", 9, "expected '(', found 'drop-relu'"),
        ("fixpoint{limit=0}(drop-relu)", 9, "fixpoint{limit} takes a whole number of rounds, 1 or more (default: 20)"),
        ("drop-relu)", 9, "expected ',', found ')'"),
        ("take-all{srict}", 9, "take-all has no option 'srict'; did you mean 'strict'?"),
        ("take-all{count=many}", 15, "take-all{count} takes a whole number, not 'many' (default: 3)"),
        ("take-all{count}", 9, "take-all{count} takes a whole number, not nothing (default: 3)"),
        ("take-all{max-growth=1Mib}", 20, "take-all{max-growth} takes a size like 4096, 64kB or 1MiB, not '1Mib' (default: 0)"),
        ("take-all{ratio=nan}", 15, "take-all{ratio} takes a number, not 'nan' (default: 0.5)"),
        ("take-all{choice=maybe}", 16, "take-all{choice} takes one of auto, never, not 'maybe' (default: auto)"),
        ("take-all{mode=slow}", 14, "take-all{mode} takes one of fast-math, safe, not 'slow' (default: safe)"),
        ("take-all{limit=few}", 15, "take-all{limit} takes a whole number, or none, not 'few' (default: none)"),
        ("take-all{count=1 count=2}", 17, "the option 'count' is given twice"),
        ('take-all{word="open}', 14, "a quoted text is not closed"),
        ("take-all{count=", 15, "expected a value, found the end"),
        ("needs-option", 0, "needs-option needs the option 'amount': a whole number"),
        ("when(drop-relu)", 0, "when needs one condition: when{target=NAME}(...) or when{not-target=[NAME, NAME]}(...)"),
        (
            "when{target=fast-cpu target=slow-cpu}()", 21,
            "when needs one condition: when{target=NAME}(...) or when{not-target=[NAME, NAME]}(...)",
        ),
        ("when{targt=fast-cpu}(drop-relu)", 5, "when has no condition 'targt'; did you mean 'target'?"),
        ("when{target}(drop-relu)", 5, "when{target} takes names of targets: fast-cpu, slow-cpu"),
        ("when{not-target=[]}(drop-relu)", 5, "when{not-target} takes names of targets: fast-cpu, slow-cpu"),
        ("when{target=[slow-cpu, fast-cup]}()", 23, "no target is called 'fast-cup'; did you mean 'fast-cpu'?"),
        ("when{target=fast-cpu} drop-relu", 22, "expected '(', found 'drop-relu'"),
        ("when{target=fast-cpu}(drop-rleu)", 22, "no pass is called 'drop-rleu'; did you mean 'drop-relu'?"),
        ("when{target=fast-cpu}(-drop-relu)", 22, "no level stands before -drop-relu for it to be left out of"),
        ("wen{target=fast-cpu}()", 0, "no pass is called 'wen'; did you mean 'when'?"),
        (
            "when{target=fast-cpu}(level2), level2", 31,
            "level 2 needs a target, as level2{target=NAME} or --target NAME; known: fast-cpu, slow-cpu",
        ),
    ],
)
def test_an_error_points_at_the_character(text: str, at: int, why: str) -> None:
    with pytest.raises(SpecError) as caught:
        Pipeline.parse(text, KNOWN)
    assert str(caught.value) == f"pipeline, column {at + 1}: {why}\n  {text}\n  {' ' * at}^"


def test_an_error_in_several_lines_names_the_line() -> None:
    with pytest.raises(SpecError) as caught:
        Pipeline.parse("level1,\n  drop-relu,\n\ttake-al\n", KNOWN)
    assert str(caught.value) == (
        "pipeline, line 3, column 2: no pass is called 'take-al'; did you mean 'take-all'?\n   take-al\n   ^"
    )


@given(st.text(alphabet="level123,()-{}=[]\" \nabdropuwhtgsfc", max_size=30))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        pipeline = Pipeline.parse(text, KNOWN)
    except SpecError:
        return
    assert Pipeline.parse(str(pipeline), KNOWN) == pipeline


def test_a_rule_that_is_no_pass_is_a_step_of_its_own() -> None:
    pipeline = Pipeline.parse("neg-neg, relu-relu", KNOWN)
    assert [[rule.name for rule in step.rules] for step in pipeline.steps if isinstance(step, Pass)] == [
        ["neg-neg"],
        ["relu-relu"],
    ]
    assert Pipeline.parse(str(pipeline), KNOWN) == pipeline


def test_an_empty_pipeline_is_one() -> None:
    assert Pipeline.parse("", KNOWN) == Pipeline() == Pipeline.of_levels(0)


def test_levels_are_checked() -> None:
    assert str(Pipeline.of_levels(1)) == str(Pipeline.of_levels()) == "level1"
    for wrong in (4, -1, True, "1"):
        with pytest.raises(SpecError, match=r"there is no level .*; known: 1, 2, 3, and 0 for no optimization"):
            Pipeline.of_levels(wrong)  # type: ignore[arg-type]  # what a caller may do


def test_a_class_is_no_step_and_the_error_says_what_to_do() -> None:
    with pytest.raises(SpecError, match=r"is no step of a pipeline; make one of it: add \(\)"):
        Pipeline([DropRelu])  # type: ignore[list-item]  # what a caller may do

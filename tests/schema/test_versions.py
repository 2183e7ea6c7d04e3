"""The table of differences between versions is complete: it is compared with the histories in onnx.defs."""

from __future__ import annotations

from collections import defaultdict

import pytest
from onnx import defs

from graphopt.schema import facts, versions
from graphopt.schema.facts import OperatorFacts
from graphopt.schema.older import may_lack_form
from graphopt.schema.traits import (
    COMMUTATIVE,
    CONTROL_FLOW,
    ELEMENTWISE,
    MARKED_BUT_DETERMINISTIC,
    MONOTONE,
    MOVEMENT,
    QUANTIZATION,
    RANDOM,
    REDUCTIONS,
)


def histories() -> dict[str, list[OperatorFacts]]:
    """All versions of each operator of the default domain that an opset >= 7 selects, oldest first."""
    found: dict[str, list[int]] = defaultdict(list)
    for schema in defs.get_all_schemas_with_history():
        if not schema.domain:
            found[schema.name].append(schema.since_version)
    selected: dict[str, list[OperatorFacts]] = {}
    for name, numbers in sorted(found.items()):
        numbers.sort()
        later = [number for index, number in enumerate(numbers) if index + 1 == len(numbers) or numbers[index + 1] > versions.OLDEST]
        selected[name] = [known for number in later if (known := facts.of("", name, number)) is not None and not known.is_deprecated]
    return selected


def test_every_attribute_that_vanished_is_listed() -> None:
    for name, history in histories().items():
        newest = history[-1]
        gone = {attribute for known in history for attribute in known.attributes} - set(newest.attributes)
        listed = set(versions.MOVED[name].attributes) if name in versions.MOVED else set()
        listed |= {attribute for op, attribute in versions.DROPPED if op == name}
        if name == "Scan":  # Scan-8 has no form in the newest spelling at all
            continue
        assert gone == listed, name


def test_moved_attributes_became_the_inputs_that_the_table_says() -> None:
    for name, move in versions.MOVED.items():
        newest, before = facts.newest("", name), facts.of("", name, move.since - 1)
        assert newest is not None
        assert before is not None
        assert facts.of("", name, move.since) is not None
        for attribute, moved in move.attributes.items():
            assert attribute in before.attributes
            assert attribute not in newest.attributes
            expected = {"value": "constant_value", "k": "K"}.get(attribute, attribute)
            assert newest.inputs[moved.slot].name == expected


def test_every_default_that_changed_is_decided() -> None:
    """A default that differs between versions is one of those that the code knows of."""
    known_changes = {("Softmax", "axis"), ("LogSoftmax", "axis"), ("Hardmax", "axis"), ("GridSample", "mode")}
    changed = {
        (name, attribute)
        for name, history in histories().items()
        for attribute, formal in history[-1].attributes.items()
        if any(attribute in known.attributes and known.default(attribute) != formal.default for known in history)
    }
    assert changed == known_changes


def test_every_input_that_changed_its_name_or_slot_is_decided() -> None:
    respelled = set(versions.MOVED) | versions.RESLOTTED | {"Scan"}
    for name, history in histories().items():
        newest = history[-1].input_names
        for known in history:
            if known.input_names != newest[: len(known.inputs)] and name not in respelled:
                assert name == "BatchNormalization", name  # mean and var are called input_mean and input_var since


def test_meanings_before_concern_attributes_that_came_later() -> None:
    for op, attribute in versions.MEANT_BEFORE:
        history = histories()[op]
        assert attribute not in history[0].attributes
        assert attribute in history[-1].attributes


def test_deprecated_operators_are_those_of_the_table() -> None:
    deprecated = {
        schema.name for schema in defs.get_all_schemas_with_history()
        if schema.deprecated and not schema.domain and schema.since_version > versions.OLDEST
    }  # fmt: skip
    assert deprecated == versions.DEPRECATED
    assert all(map(may_lack_form, deprecated))


def test_traits_name_operators_that_exist() -> None:
    names = {schema.name for schema in defs.get_all_schemas_with_history()}
    newer = {"BitCast"} if defs.onnx_opset_version() < 26 else set()  # than the installed onnx
    traits = (COMMUTATIVE, CONTROL_FLOW, ELEMENTWISE, MARKED_BUT_DETERMINISTIC, MONOTONE, MOVEMENT, QUANTIZATION, RANDOM, REDUCTIONS)
    for trait in traits:
        assert trait - newer <= names


def test_random_operators_are_those_that_onnx_marks() -> None:
    marked = {
        schema.name for schema in defs.get_all_schemas_with_history()
        if getattr(getattr(schema, "node_determinism", None), "name", "") == "NonDeterministic"
    }  # fmt: skip
    assert not marked - RANDOM - MARKED_BUT_DETERMINISTIC


@pytest.mark.parametrize("op", ["AffineGrid", "BlackmanWindow", "HammingWindow", "HannWindow", "Range"])
def test_a_loop_inside_an_operator_makes_no_chance(op: str) -> None:
    """Whatever the installed onnx marks: 1.21 takes each operator whose function body has a Loop for random."""
    known = facts.newest("", op)
    assert known is not None and known.is_deterministic

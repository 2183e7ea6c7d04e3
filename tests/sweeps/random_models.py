"""Random models: rules' own patterns, golden models, cases and graphs of shape arithmetic, grown, joined and written in other ways."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from random import Random
from typing import Final

import numpy as np
from onnx import ModelProto

from graphopt import io
from graphopt.errors import GraphoptError
from graphopt.infer import infer_model
from graphopt.io.walking import all_nodes
from graphopt.ir import Editor
from graphopt.match.rule import Rule
from graphopt.pipeline.registry import installed
from graphopt.testing.growing import GROWTHS, CannotGrow, Soil
from graphopt.verify.selfcheck.cases import Case, in_branch, in_function, loosened, overridable, read_on, settle, with_constant_nodes
from graphopt.verify.selfcheck.instantiate import CannotInstantiate, Sample
from graphopt.verify.selfcheck.near_misses import near_misses
from graphopt.verify.selfcheck.sampling import random_sample
from graphopt.verify.selfcheck.validity import Invalid, check
from tests.infer.shape_graphs import ShapeGraph
from tests.sweeps.joining import joined
from tests.sweeps.models import bundled

MOST: Final = 80  # nodes
# Attributes that are 0 or 1. Near misses try other numbers, which mean nothing: each runtime takes them for something else.
FLAGS: Final = frozenset({
    "allowzero", "antialias", "ceil_mode", "center_point_box", "count_include_pad", "exclude_outside", "exclusive", "input_forget",
    "is_causal", "keepdims", "largest", "linear_before_reset", "new_axis", "noop_with_empty_axes", "onesided", "reverse", "saturate",
    "select_last_index", "sorted", "storage_order", "training_mode", "transA", "transB", "upper",
})  # fmt: skip


class Unlucky(Exception):
    """This seed gives no valid model."""


def random_model(seed: int) -> ModelProto:
    """The model of a seed. Raises Unlucky."""
    random = Random(seed)
    case = _base(random)
    for _ in range(random.choice((0, 0, 1, 2))):
        with suppress(Unlucky):
            case = replace(case, model=joined(case.model, _base(random, case.model).model, random))
    case = replace(case, model=_grown(case.model, random))
    case = _written(settle(case) or case, random)
    try:
        check(case.model)
    except Invalid as reason:
        raise Unlucky(str(reason)) from reason
    if any(entry.name in FLAGS and entry.i not in (0, 1) for node in all_nodes(case.model) for entry in node.attribute):
        raise Unlucky("what is 0 or 1 is something else")
    return case.model


def _base(random: Random, beside: ModelProto | None = None) -> Case:
    """A model to begin with, of the opset of another one if it is to stand beside it."""
    opset = next((entry.version for entry in beside.opset_import if not entry.domain), None) if beside is not None else None
    kind = random.random()
    if kind < 0.6:
        return _of_rule(random, opset)
    if kind < 0.9:
        fitting = [case for at, case in _bundled() if opset in (None, at)]
        if not fitting:
            raise Unlucky(f"no bundled model has opset {opset}")
        return random.choice(fitting)
    graph = ShapeGraph(random.randrange(10**9), length=random.choice((4, 8, 14)))
    if opset not in (None, graph.opset):
        raise Unlucky(f"the graph of shape arithmetic has opset {graph.opset}")
    return Case(graph.proto, {}, {}, "shape arithmetic")


@cache
def _bundled() -> list[tuple[int, Case]]:
    """The models that come with the tests, with their opsets."""
    found = []
    for name, model in bundled():
        if len(all_nodes(model)) <= MOST // 2:
            found.append((next((entry.version for entry in model.opset_import if not entry.domain), 0), Case(model, {}, {}, name)))
    return found


@cache
def _rules() -> list[Rule]:
    return [known.rule for known in installed().rules().values()]


def _of_rule(random: Random, opset: int | None) -> Case:
    """What some rule should match, or nearly."""
    rule = random.choice(_rules())
    sample = _sample(rule, random, opset)
    numbers = np.random.default_rng(random.randrange(10**9))
    if random.random() < 0.3:
        nearly = [case for case, _ in zip(near_misses(sample, rule, numbers), range(40), strict=False)]
        case = settle(random.choice(nearly)) if nearly else None
        if case is not None:
            return case
    return Case(sample.model, sample.feeds, sample.kinds, rule.name)


def _sample(rule: Rule, random: Random, opset: int | None) -> Sample:
    try:
        return random_sample(rule, random, opset)
    except CannotInstantiate as reason:
        raise Unlucky(str(reason)) from reason


def _grown(proto: ModelProto, random: Random) -> ModelProto:
    """The model with some nodes more: between others, beside them, or read by nobody."""
    try:
        model = io.load(proto)
        infer_model(model)
    except GraphoptError as reason:
        raise Unlucky(str(reason)) from reason
    for _ in range(random.choice((0, 1, 2, 4, 8, 12))):
        with suppress(CannotGrow):
            random.choice(GROWTHS)(Soil(model, Editor(model), random))
            infer_model(model, again=True)
    made: ModelProto = io.to_proto(model)
    return made


def _written(case: Case, random: Random) -> Case:
    """The same computation in another form."""
    stored = [tensor.name for tensor in case.model.graph.initializer]
    forms: list[Callable[[Case], Case]] = [
        lambda case: loosened(case, "symbolic"),
        lambda case: loosened(case, "own symbols"),
        lambda case: loosened(case, "unknown"),
        lambda case: loosened(case, "batch"),
        with_constant_nodes,
        lambda case: overridable(case, random.sample(stored, min(len(stored), 1))),
        read_on,
        in_branch,
        in_function,
    ]
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        other = settle(random.choice(forms)(case)) if _is_plain(case.model) else None
        case = other if other is not None else case
    return case


def _is_plain(model: ModelProto) -> bool:
    """Whether all that goes in and comes out is a tensor, and nothing is a function's or sparse: what the forms are made for."""
    ports = (*model.graph.input, *model.graph.output)
    return all(port.type.HasField("tensor_type") for port in ports) and not model.functions and not model.graph.sparse_initializer

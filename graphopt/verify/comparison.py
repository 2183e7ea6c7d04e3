"""Numerical comparison of two models: run both on the same inputs, look at every output."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, numpy_helper

from graphopt.errors import ModelError
from graphopt.infer.freeze import Frozen
from graphopt.io.walking import all_nodes
from graphopt.ir.dtype import DType
from graphopt.verify.feeds import Caution, Feed, FeedMaker, Kind, Unfeedable
from graphopt.verify.noise import QUANTIZERS, Yardstick, as_far
from graphopt.verify.result import Comparison, Difference, OutputResult, Verdict
from graphopt.verify.runners import CannotRun, Reference, Runner, Session, runners
from graphopt.verify.signature import Signature, changes
from graphopt.verify.sizes import Sizes, tiers
from graphopt.verify.source import Source, Subject, subject
from graphopt.verify.tolerance import TOLERANCES, Judge, Tolerance
from graphopt.verify.usage import usages


@dataclass(frozen=True, slots=True)
class Options:
    """How models are compared; see `compare`. `doubts`: before an accusation the original is run with its rounding changed."""

    seeds: int = 3
    sizes: Sequence[Mapping[str, int]] | None = None
    feeds: Sequence[Mapping[str, object]] | None = None
    exact: bool = False
    tolerance: Tolerance | None = None
    runner: str = "auto"
    special: bool = True
    initializers_are_constants: bool = False
    frozen: Frozen = field(default_factory=Frozen)
    doubts: bool = True


def compare(
    before: Source,
    after: Source,
    *,
    seeds: int = 3,
    sizes: Sequence[Mapping[str, int]] | None = None,
    feeds: Sequence[Mapping[str, object]] | None = None,
    exact: bool = False,
    tolerance: Tolerance | None = None,
    runner: str = "auto",
    special: bool = True,
    initializers_are_constants: bool = False,
) -> Comparison:
    """Whether `after` computes what `before` does and has its signature; each is a path, a ModelProto, its bytes or a graphopt Model.

    Both run on `seeds` random feeds or more: one for each of several sizes of symbolic and unknown dimensions (`sizes` replaces them),
    special values (unless `special` is False), other values for overridable initializers. `feeds` replaces them all. Float outputs are
    held to a tolerance by element type, or to `tolerance`; `exact` demands the same bits. `runner` is "auto", "onnxruntime" or
    "reference". With `initializers_are_constants` the overridable initializers are never fed, and may go.

    A model that differs from itself (random operators) is not comparable; one that cannot be run is not checked. Neither is an error.
    Raises ModelError when `before`, or the file `after`, cannot be read, SpecError for a runner that is not there.
    """
    options = Options(seeds, sizes, feeds, exact, tolerance, runner, special, initializers_are_constants)
    return Original(before, options).compare(after)


@dataclass(slots=True)
class Case:
    """One feed and what the original gave for it."""

    feed: Feed
    expected: dict[str, object]


@dataclass(slots=True)
class Original:
    """The model that is right by definition: read, run on its feeds and ready to be compared with any number of others."""

    source: Source
    options: Options = field(default_factory=Options)
    subject: Subject = field(init=False)
    signature: Signature = field(init=False)
    judge: Judge = field(init=False)
    runner: Runner | None = field(init=False, default=None)
    cases: list[Case] = field(init=False, default_factory=list)
    skipped: list[str] = field(init=False, default_factory=list)
    notes: list[str] = field(init=False, default_factory=list)
    unstable: dict[str, str] = field(init=False, default_factory=dict)  # output -> how it differs from itself
    yardstick: Yardstick | None = field(init=False, default=None)  # made at the first disagreement; until then no memory is held

    def __post_init__(self) -> None:
        self.subject = subject(self.source, "the original")
        proto = self.subject.proto()
        declared = Signature.of(proto, initializers_are_constants=self.options.initializers_are_constants)
        frozen = self.options.frozen
        self.signature = declared.with_sizes(frozen.names, frozen.shapes) if frozen else declared
        self.judge = Judge(self.options.exact, _kinds(proto), self.options.tolerance, _is_quantized(proto))
        maker = FeedMaker(self.signature.inputs, usages(proto, self.signature.inputs), self._default, frozen.names)
        del proto  # it holds the weights of a model without external data
        for runner in runners(self.options.runner):
            try:
                session = runner.open(self.subject)
            except CannotRun as error:
                self.notes.append(f"{runner.name} does not load the original: {error}")
                continue
            skipped = self.skipped = []
            self.cases = _Search(session, maker, self.options, skipped).cases()
            if self.cases:
                self.runner = runner
                self._check_itself(session, self.cases[0])
                return
            self.notes.append(f"{runner.name} accepts no feed: {skipped[-1] if skipped else 'the model has no inputs to try'}")

    def compare(self, after: Source) -> Comparison:
        """Compare another model with this one. Raises ModelError for a file that cannot be read."""
        result = Comparison(self.subject.name, "the result")
        result.notes += self.notes
        result.skipped += self.skipped
        result.outputs = [OutputResult(port.name, port.kind.name if port.kind else "") for port in self.signature.outputs]
        try:
            other = subject(after, "the result")
            result.after = other.name
            signature = Signature.of(other.proto(), initializers_are_constants=self.options.initializers_are_constants)
        except ModelError as error:
            if isinstance(after, (str, os.PathLike)):
                raise  # nothing was compared, so nothing differs
            result.failure = str(error)
            return result
        faults, remarks = changes(self.signature, signature, self._shapes())
        result.signature += faults
        result.notes += remarks
        if self.runner is None:
            for output in result.outputs:
                output.why = "no runtime runs the original"
            return result
        result.runner = self.runner.name
        kinds = self._output_kinds()
        result.tolerance, result.held_to = self.judge.statement(kinds), self.judge.in_short(kinds)
        try:
            session = self.runner.open(other)
        except CannotRun as error:
            if newer := _newer(self.subject.proto(), other.proto()):
                return self._without_the_runtime(after, result, f"{self.runner.name} does not load the result, {newer}: {error}")
            result.failure = f"{self.runner.name} loads the original but not the result: {error}"
            return result
        for case in self.cases:
            self._compare_case(case, session, result)
        result.notes += _vacuous(self.cases)
        return result

    def _without_the_runtime(self, after: Source, result: Comparison, why: str) -> Comparison:
        """Compare with a result of a version that the runtime need not know: by the reference, which knows all of onnx, or not at all."""
        if self.options.runner == "auto" and not isinstance(self.runner, Reference):
            result = Original(self.source, replace(self.options, runner="reference")).compare(after)
            result.notes.insert(0, why)
            return result
        for output in result.outputs:
            output.why = why
        return result

    def narrowed(self, found: Comparison) -> Original:
        """This original with no feeds but those on which a comparison differed (all when none did): asking again is quicker."""
        feeds = {output.feed for output in found.outputs if output.verdict is Verdict.DIFFERENT}
        copied = copy(self)
        copied.cases = [case for case in self.cases if str(case.feed) in feeds] or self.cases
        return copied

    def _compare_case(self, case: Case, session: Session, result: Comparison) -> None:
        result.feeds.append(str(case.feed))
        try:
            values = session.run(case.feed.values)
        except CannotRun as error:
            result.failure = result.failure or f"the result fails where the original runs ({case.feed}): {error}"
            return
        gone = Difference(Verdict.DIFFERENT, why="the output is gone")
        found = {name: self.judge.judge(value, values[name]) if name in values else gone for name, value in case.expected.items()}
        if self.options.doubts and any(one.verdict is Verdict.DIFFERENT for one in found.values()):
            found = self._doubted(case, found, {output.name for output in result.outputs if output.verdict is Verdict.DIFFERENT})
        for output in result.outputs:
            difference = found[output.name]
            if output.name in self.unstable:
                difference = Difference(Verdict.NOT_COMPARABLE, output.kind, why=self.unstable[output.name])
            output.add(difference, str(case.feed))

    def _check_itself(self, session: Session, case: Case) -> None:
        """Run a feed again: an output that differs from itself proves nothing about another model."""
        again = session.run(case.feed.values)
        for name, value in case.expected.items():
            difference = self.judge.judge(value, again[name])
            if difference.verdict is Verdict.DIFFERENT:
                self.unstable[name] = f"the original differs from itself: {difference.why}"

    def _doubted(self, case: Case, found: dict[str, Difference], settled: set[str]) -> dict[str, Difference]:
        """Before an accusation: does the original give again on this feed what it gave, and does rounding alone not move it as far?"""
        if self.runner is None:
            return found
        if self.yardstick is None:
            self.yardstick = Yardstick(self.subject, self.runner)
            self._check_itself(self.runner.open(self.subject), case)
        left = {name: one for name, one in found.items() if one.verdict is Verdict.DIFFERENT and name not in settled}
        for values in () if self.options.exact or not left else self.yardstick.runs(case.feed.values):
            for name, one in list(left.items()):
                if as_far(one, self.judge.judge(case.expected[name], values[name])):
                    why = f"{one.why}; the original moves as far by itself when only rounding changes"
                    found[name] = replace(left.pop(name), verdict=Verdict.NOT_COMPARABLE, why=why)
            if not left:
                break
        return found

    def _default(self, name: str) -> npt.NDArray[Any]:
        for tensor in self.subject.proto().graph.initializer:
            if tensor.name == name:
                return np.asarray(numpy_helper.to_array(tensor, self.subject.data_folder()))
        raise Unfeedable(f"input {name}: other values for a sparse default cannot be made")

    def _shapes(self) -> dict[str, list[tuple[int, ...]]]:
        shapes: dict[str, list[tuple[int, ...]]] = {}
        for case in self.cases:
            for name, value in case.expected.items():
                if isinstance(value, np.ndarray):
                    shapes.setdefault(name, []).append(value.shape)
        return shapes

    def _output_kinds(self) -> set[DType]:
        return {DType.of(array.dtype) for value in self.cases[0].expected.values() for array in _arrays(value)}


@dataclass(slots=True)
class _Search:
    """Finds feeds that the original accepts."""

    session: Session
    maker: FeedMaker
    options: Options
    skipped: list[str]
    caution: Caution = Caution.DERIVED
    rank: int = 2

    def cases(self) -> list[Case]:
        if self.options.feeds is not None:
            feeds = (Feed(Kind.GIVEN, number, {}, dict(values)) for number, values in enumerate(self.options.feeds))
            return [case for feed in feeds if (case := self._run(feed)) is not None]
        cases = self._ordinary()
        if not cases:
            return []
        sizes = cases[-1].feed.sizes
        accepted = len(cases)
        for seed in range(accepted, self.options.seeds):  # the model may refuse some: a walk through its branches may fail
            cases += self._first(Kind.ORDINARY, seed, cases[seed % accepted].feed.sizes)
        wanted = [Kind.FINITE, Kind.NONFINITE] if self.options.special and self.maker.ports else []
        wanted += [Kind.OVERRIDDEN] if self.maker.has_overridables else []
        wanted += [Kind.ABSENT] if self.maker.has_optionals else []
        for seed, kind in enumerate(wanted, max(accepted, self.options.seeds)):
            cases += self._first(kind, seed, sizes, tuple(Caution))
        return cases

    def _ordinary(self) -> list[Case]:
        """One feed for each size, until enough sizes are accepted."""
        given = self.options.sizes
        levels = [[self._complete(sizes) for sizes in given]] if given is not None else tiers(self.maker.symbols)
        for rank in (2, 3, 4, 1, 0) if self.maker.unranked else (2,):
            self.rank = rank
            cases: list[Case] = []
            for level, candidates in enumerate(levels):
                if cases and (level > 1 or len(cases) > 1):
                    break
                for sizes in candidates:
                    cases += self._first(Kind.ORDINARY, len(cases), sizes, tuple(Caution))
                    if cases and level > 1:
                        break
            if cases:
                return cases
        return []

    def _complete(self, sizes: Mapping[str, int]) -> Sizes:
        return {name: sizes.get(name, 2) for name in self.maker.symbols} | dict(sizes)

    def _first(self, kind: Kind, seed: int, sizes: Sizes, cautions: Sequence[Caution] | None = None) -> list[Case]:
        """The first feed that runs, as a list; none if none does, and the reason goes to `skipped`."""
        reason = ""
        for caution in cautions or (self.caution,):
            if kind is Kind.ORDINARY and caution < self.caution:
                continue  # another size needed more caution already
            try:
                feed = self.maker.make(kind, seed, sizes, caution, self.rank)
                case = Case(feed, self.session.run(feed.values))
            except (CannotRun, Unfeedable) as error:
                reason = str(error)
                continue
            self.caution = caution if kind is Kind.ORDINARY else self.caution
            return [case]
        if reason:
            self.skipped.append(f"{Feed(kind, seed, sizes, {})}: {reason}")
        return []

    def _run(self, feed: Feed) -> Case | None:
        try:
            return Case(feed, self.session.run(feed.values))
        except CannotRun as error:
            self.skipped.append(f"{feed}: {error}")
            return None


def _newer(before: ModelProto, after: ModelProto) -> str:
    """How the second model is of a version that a runtime of the first one need not know; empty when it is not."""
    opsets = [{entry.domain: entry.version for entry in proto.opset_import} for proto in (before, after)]
    raised = [f"opset {version}" for domain, version in opsets[1].items() if not domain and version > opsets[0].get(domain, version)]
    raised += [f"IR version {after.ir_version}"] if after.ir_version > before.ir_version else []
    return f"which is of {' and '.join(raised)}" if raised else ""


def _arrays(value: object) -> Iterator[npt.NDArray[Any]]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _arrays(item)
    elif value is not None:
        yield np.asarray(value)


def _vacuous(cases: Sequence[Case]) -> list[str]:
    """Outputs about which nothing was learned, because they hold not one number anywhere."""
    notes = []
    for name in cases[0].expected:
        arrays = [array for case in cases for array in _arrays(case.expected[name])]
        floats = [array for array in arrays if array.size and DType.of(array.dtype) in TOLERANCES]
        if arrays and not any(array.size for array in arrays):
            notes.append(f"output {name} is empty in every feed")
        elif floats and len(floats) == len(arrays) and all(np.isnan(array.astype(np.complex128)).all() for array in floats):
            notes.append(f"output {name} is NaN everywhere in every feed")
    return notes


def _is_quantized(proto: ModelProto) -> bool:
    return any(node.op_type.startswith(QUANTIZERS) for node in all_nodes(proto))


def _kinds(proto: ModelProto) -> frozenset[DType]:
    """The element types that the model names: inputs, outputs, stored tensors, casts. What it computes in is among them."""
    graph = proto.graph
    numbers = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output, *graph.value_info)}
    numbers |= {tensor.data_type for tensor in graph.initializer}
    for node in all_nodes(proto):
        if node.op_type == "Cast":
            numbers |= {attribute.i for attribute in node.attribute if attribute.name == "to"}
        elif node.op_type == "Constant":
            numbers |= {attribute.t.data_type for attribute in node.attribute if attribute.name == "value"}
    known = {int(kind) for kind in DType} - {TensorProto.UNDEFINED}
    return frozenset(DType(number) for number in numbers & known)

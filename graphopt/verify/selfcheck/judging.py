"""One case judged: the rule is applied by the real driver, and the model must stay valid and compute the same."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto

from graphopt import io
from graphopt.errors import InternalError
from graphopt.infer.model import infer_model
from graphopt.io.walking import all_nodes
from graphopt.ir.dtype import DType
from graphopt.ir.edit import Editor
from graphopt.ir.graph import Node
from graphopt.ir.tensor import Array
from graphopt.ir.verify import verify
from graphopt.match.rule import Exactness, Rule, RuleError
from graphopt.observe.observer import Observer
from graphopt.rewrite import apply_rules
from graphopt.verify.runners import CannotRun, Runner, Session
from graphopt.verify.selfcheck.cases import Case, feedings
from graphopt.verify.selfcheck.running import engines_for, open_session, run
from graphopt.verify.selfcheck.validity import Invalid, check
from graphopt.verify.signature import Signature, changes

# Units in the last place that rounding rules may differ by, relative to the largest number that goes in or comes out.
ULPS = {DType.float64: 4096, DType.float32: 64, DType.float16: 16, DType.bfloat16: 8}
EPSILON = {DType.float64: 2.0**-52, DType.float32: 2.0**-23, DType.float16: 2.0**-10, DType.bfloat16: 2.0**-7}
SUBNORMAL_STEPS = 16
ALL_FEEDS, SOME_FEEDS = 40, 10  # feeds of a variant, and of a near miss
FEW = 8  # integers of which all may round the other way without that being a sign of anything
APPROXIMATE = 100.0  # how much wider the tolerance of an approximate rule is


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one application of a rule. `feed` and the outputs are there when it computes something else."""

    what: str
    feed: str = ""
    feeds: dict[str, Array] | None = None
    expected: dict[str, Array] | None = None
    actual: dict[str, Array] | None = None
    after: ModelProto | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How often the rule fired, what is wrong with it, why it declined, and whether the engines contradict each other.

    `raised` says that an error ended it, after those rewrites.
    """

    fired: int
    problem: Problem | None = None
    declined: tuple[str, ...] = ()
    doubtful: bool = False
    is_valid: bool = True
    raised: bool = False


class _Listener(Observer):
    """Counts rewrites, keeps the reasons why the rule declined, and stops it when it applies without end."""

    def __init__(self, limit: int) -> None:
        self.fired = 0
        self.reasons: list[Callable[[], str]] = []
        self.left = limit

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        self.fired += 1

    def declined(self, source: str, node: Node, why: Callable[[], str]) -> None:
        self.reasons.append(why)

    def may_apply(self, source: str, node: Node) -> bool:
        self.left -= 1
        return self.left >= 0


def judge(rule: Rule, case: Case, seed: int, *, only: bool = False) -> Verdict:
    """Apply a rule to one case and compare, on many feeds or on the case's own `only`."""
    try:
        before = check(case.model)
    except Invalid as reason:
        return Verdict(0, declined=(f"no valid model: {reason}",), is_valid=False)
    listener = _Listener(20 + 5 * len(all_nodes(case.model)))
    after: ModelProto | None = None
    raised = True
    try:
        with np.errstate(all="ignore"):  # a rule may compute with constants that make no sense; its result is what counts
            fired, after = rewritten(rule, case.model, listener)
    except InternalError as error:
        fired, problem = listener.fired, f"graphopt fails: {error}"
    except (Exception, SystemExit) as error:  # the rule's own code: whatever it raises is its fault, and has to be shown with the model
        fired, problem = listener.fired, f"{_named(error)} (raised at {_where(rule, error)})"
    else:
        raised = False
        if not fired:
            return Verdict(0, declined=tuple(dict.fromkeys(why() for why in listener.reasons)))
        problem = _still_valid(case.model, before, after) or ""
        if listener.left < 0:
            problem = f"it applies without end to what it made: {fired} times so far"
    if problem or after is None:
        return Verdict(fired, Problem(problem, after=after), raised=raised) if runs(case) else Verdict(fired, is_valid=False, raised=raised)
    return _compared(rule, case, after, fired, seed, only)


def _named(error: BaseException) -> str:
    """An error with its kind; a RuleError says the kind of what a condition raised."""
    return str(error) if isinstance(error, RuleError) else f"{type(error).__name__}: {error}"


def _where(rule: Rule, error: BaseException) -> str:
    """The last line of the rule's own file that an error came through; where it was raised, when it came through none."""
    cause = error.__cause__ if isinstance(error, RuleError) and error.__cause__ is not None else error
    frames = traceback.extract_tb(cause.__traceback__)
    own = [frame for frame in frames if frame.filename == rule.file]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}"


def rewritten(rule: Rule, proto: ModelProto, observer: Observer) -> tuple[int, ModelProto]:
    """Apply one rule everywhere in a model with the real driver; how often it fired, and what came out."""
    model = io.load(proto)
    infer_model(model, observer)
    editor = Editor(model)
    graphs = [model.graph, *(function.graph for function in model.functions.values())]
    fired = sum(apply_rules(graph, (rule,), editor, observer) for graph in graphs)
    verify(model)
    return fired, io.to_proto(model) if fired else proto


def _still_valid(proto: ModelProto, before: ModelProto, after: ModelProto) -> str | None:
    faults, _ = changes(Signature.of(proto), Signature.of(after), {})
    if faults:
        return f"the signature changes: {'; '.join(faults)}"
    try:
        check(after)
    except Invalid as reason:
        return f"the result is no valid model: {reason}"
    left = _dead(after) - _dead(before)
    return f"it leaves nodes whose results nobody reads: {', '.join(sorted(left))}" if left else None


def _dead(proto: ModelProto) -> set[str]:
    nodes = all_nodes(proto)
    read = {name for node in nodes for name in node.input}
    graphs = [proto.graph, *(a.g for node in nodes for a in node.attribute if a.HasField("g"))]
    read |= {port.name for graph in graphs for port in graph.output}
    read |= {name for function in proto.functions for name in function.output}
    return {f"{node.op_type} {node.output[0]}" for node in nodes if not read & set(node.output)}


def _compared(rule: Rule, case: Case, after: ModelProto, fired: int, seed: int, only: bool) -> Verdict:
    """Run both sides on the first engine that takes the original; a difference in the last bits another one has to confirm."""
    engines = engines_for(case.model)
    for engine in engines:
        try:
            first = open_session(engine, case.model)
            found = run(first, case.feeds)
        except CannotRun:
            continue
        if not _is_as_declared(case.model, found):
            return Verdict(fired, is_valid=False)
        try:
            second = open_session(engine, after)
        except CannotRun as reason:
            return Verdict(fired, Problem(f"{engine.name} runs the original, but not the result: {reason}", "as drawn", after=after))
        problem = _differs(rule, case, first, second, seed, only)
        if problem is None:
            return Verdict(fired)
        others = [other for other in engines if other is not engine]
        if _is_faint(case, problem) and not all(_confirmed(rule, case, after, problem, other) for other in others):
            return Verdict(fired, doubtful=True)
        return Verdict(fired, replace(problem, after=after))
    return Verdict(fired, declined=("no engine runs the model",))


def runs(case: Case) -> bool:
    """Whether any engine runs a model: inference lets some invalid ones pass (Transpose with too short a perm)."""
    for engine in engines_for(case.model):
        try:
            return _is_as_declared(case.model, run(open_session(engine, case.model), case.feeds))
        except CannotRun:
            continue
    return False


def _is_as_declared(model: ModelProto, found: dict[str, Array]) -> bool:
    """Whether outputs have the shapes that were inferred; where not, inference is wrong about a model that only just passes it."""
    for port in model.graph.output:
        sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in port.type.tensor_type.shape.dim]
        shape = found[port.name].shape
        if len(sizes) != len(shape) or any(size not in (None, actual) for size, actual in zip(sizes, shape, strict=True)):
            return False
    return True


def _is_faint(case: Case, problem: Problem) -> bool:
    """Whether two results differ only in what kernels are free in: last bits, signs of zero, what comes out of NaN and infinities."""
    if problem.expected is None or problem.actual is None or problem.feeds is None:
        return False
    both = [(one, problem.actual.get(name)) for name, one in problem.expected.items()]
    if any(other is None or one.shape != other.shape or one.dtype != other.dtype for one, other in both):
        return False
    if any(_is_extreme(array) for array in problem.feeds.values()):
        return True
    return difference(problem.expected, problem.actual, problem.feeds, case.model, "rounding") is None


def _is_extreme(array: Array) -> bool:
    """Whether there are elements that kernels treat each in their own way: NaN, infinities, integers that no float holds."""
    if DType.of(array.dtype).is_float:
        return not bool(np.isfinite(array.astype(np.float64)).all())
    return array.dtype.kind in "iu" and bool((np.abs(array.astype(np.float64)) > 2.0**24).any())


def _confirmed(rule: Rule, case: Case, after: ModelProto, problem: Problem, engine: Runner) -> bool:
    """Whether another engine sees the difference too."""
    feeds = problem.feeds or {}
    try:
        expected = run(open_session(engine, case.model), feeds)
        actual = run(open_session(engine, after), feeds)
    except CannotRun:
        return False
    return difference(expected, actual, feeds, case.model, rule.exactness) is not None


def _differs(rule: Rule, case: Case, first: Session, second: Session, seed: int, only: bool) -> Problem | None:
    ran = False
    many = feedings(case, np.random.default_rng(seed), wide=rule.exactness == "exact")
    count = 1 if only else ALL_FEEDS if case.group == "variant" else SOME_FEEDS
    for label, feeds in itertools.islice(many, count):
        try:
            expected = run(first, feeds)
        except CannotRun:
            continue
        if not ran and difference(expected, run(first, feeds), feeds, case.model, "exact") is not None:
            return Problem("it fires on a model whose results are random", label, feeds)
        ran = True
        try:
            actual = run(second, feeds)
        except CannotRun as reason:
            return Problem(f"the original runs, the result does not: {reason}", label, feeds, expected)
        found = difference(expected, actual, feeds, case.model, rule.exactness)
        if found is not None:
            return Problem(found, label, feeds, expected, actual)
    return None


def difference(
    expected: dict[str, Array], actual: dict[str, Array], feeds: dict[str, Array], model: ModelProto, exactness: Exactness
) -> str | None:
    """How two results differ, more than the rule's exactness allows; None when they do not."""
    for name, one in expected.items():
        other = actual.get(name)
        if other is None:
            return f"output {name} is missing"
        if one.dtype != other.dtype or one.shape != other.shape:
            return f"output {name} is {other.dtype}{list(other.shape)} instead of {one.dtype}{list(one.shape)}"
        if exactness != "exact" and _is_quantized(one, model) and _moves_few(one, other):
            continue
        if exactness == "exact" or not DType.of(one.dtype).is_float:
            unequal = int(np.count_nonzero(~_same_bits(one, other)))
            if unequal:
                return f"output {name}: {unequal} of {one.size} elements are not the same bits"
            continue
        far = _far(one, other, feeds, model, APPROXIMATE if exactness == "approximate" else 1.0)
        if far is not None:
            return f"output {name}: {far}"
    return None


def _is_quantized(one: Array, model: ModelProto) -> bool:
    """Whether integers may be rounded floats, which a last bit before the rounding moves by one."""
    makers = ("QGemm", "QLinear", "QuantizeLinear")
    return one.dtype in (np.int8, np.uint8) and any(node.op_type.startswith(makers) for node in all_nodes(model))


def _moves_few(one: Array, other: Array) -> bool:
    """Whether integers differ by one step at most, and of many not most: what is off everywhere is no rounding."""
    steps = np.abs(one.astype(int) - other.astype(int))
    return bool(steps.max(initial=0) <= 1) and int(steps.sum()) <= max(FEW, one.size // 2)


def _same_bits(one: Array, other: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    dtype = DType.of(one.dtype)
    if not dtype.is_float:
        return np.asarray(one == other)
    bits = f"u{one.dtype.itemsize}"
    both_nan = np.isnan(one.astype(np.float64)) & np.isnan(other.astype(np.float64))
    same = np.ascontiguousarray(one).view(bits).reshape(one.shape) == np.ascontiguousarray(other).view(bits).reshape(one.shape)
    return np.asarray(same | both_nan)


def _far(one: Array, other: Array, feeds: dict[str, Array], model: ModelProto, factor: float) -> str | None:
    a, b = one.astype(np.float64), other.astype(np.float64)
    strange = ~np.isfinite(a) | ~np.isfinite(b)
    with np.errstate(invalid="ignore"):
        agree = (np.isnan(a) & np.isnan(b)) | (a == b)
    if (strange & ~agree).any():
        return f"{int((strange & ~agree).sum())} of {a.size} elements are NaN or infinite on one side only"
    fine = ~strange
    if not fine.any():
        return None
    inputs = [np.abs(array.astype(np.float64)) for array in feeds.values() if DType.of(array.dtype).is_float and array.size]
    finite = [array[np.isfinite(array)] for array in (*inputs, np.abs(a[fine]))]
    scale = max((float(array.max()) for array in finite if array.size), default=0.0)
    # Below the normal numbers an error is one of steps, not of digits.
    allowed = max(factor * _relative(one, feeds, model) * scale, SUBNORMAL_STEPS * float(DType.of(one.dtype).info.smallest_subnormal))
    worst = float(np.abs(a[fine] - b[fine]).max())
    return f"off by up to {worst:.3g}, where {allowed:.3g} is rounding" if worst > allowed else None


def _relative(one: Array, feeds: dict[str, Array], model: ModelProto) -> float:
    """The relative error that rounding may cause: that of the coarsest element type which the model computes in."""
    kinds = {DType.of(one.dtype), *(DType.of(array.dtype) for array in feeds.values())}
    kinds |= {DType(a.i) for node in all_nodes(model) if node.op_type == "Cast" for a in node.attribute if a.name == "to"}
    return max((ULPS[kind] * EPSILON[kind] for kind in kinds if kind in ULPS), default=0.0)

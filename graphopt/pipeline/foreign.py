"""Passes of other libraries: functions on onnx-graphsurgeon's graphs, passes of onnx-ir, rewrite rules of onnxscript."""

from __future__ import annotations

import inspect
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, overload

from graphopt.errors import InternalError, ModelError, SpecError, nearest
from graphopt.infer.model import infer_model
from graphopt.interop.graphsurgeon import SurgeonGraph, from_graphsurgeon, is_surgeon_graph, to_graphsurgeon
from graphopt.interop.onnx_ir import IrModel, apply_onnxscript, from_onnx_ir, is_ir_model, to_onnx_ir
from graphopt.io.held import come_from
from graphopt.ir.edit import Editor
from graphopt.ir.graph import Graph
from graphopt.ir.model import Model
from graphopt.ir.scopes import part_names
from graphopt.ir.take_over import take_over
from graphopt.ir.verify import verify
from graphopt.observe.inventory import Signature
from graphopt.pipeline.base import Context, Level, Pass
from graphopt.pipeline.replaced import Replaced

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from graphopt.match.rule import Exactness


@dataclass(frozen=True)
class ForeignPass(Pass):
    """A pass that another library runs on a graph of its own kind, made of the whole model.

    What it makes takes the place of the model, as one rewrite, when our guards let it: the signature is the same (unless
    `changes_signature`), the graph is in order, and the types are inferred anew; what it declares of them is a claim. A model that the
    library cannot hold stays as it is, with a warning. Nodes of the same operator that make values of the same names are the same nodes.
    """

    library: ClassVar[str] = ""
    code: ClassVar[Any] = None  # Any: the function or the class of another library that somebody wrote; None when there is none

    @abstractmethod
    def remade(self, model: Model) -> tuple[Model | None, bool]:
        """The model that the library makes of this one, which stays as it is, and whether it says itself that something changed.

        None when it says that nothing did. Raises Unheld when the library cannot hold the model.
        """

    def run(self, graph: Graph, context: Context) -> int:
        """Run it on the whole model when the main graph comes; returns how many nodes it took out or put in."""
        model = context.model
        if graph is not model.graph:
            return 0
        try:
            made, is_certain = self.remade(model)
        except Unheld as reason:
            context.observer.warned(self.name, f"left out: {reason}")
            return 0
        if made is None:
            return 0
        with _at_fault():
            come_from(made, model)
            verify(made)
            part_names(Editor(made))
            infer_model(made, context.observer)
            replaced = Replaced.of(model, made)
        changes = Signature.of(model).changes(Signature.of(made))
        if changes and not self.changes_signature:
            raise InternalError(f"it changed the signature: {'; '.join(changes)}; a pass that may do that says changes_signature=True")
        if not (replaced or is_certain) or not context.observer.may_apply(self.name, graph.exit):
            return 0
        for node in replaced.came:
            node.rule = self.name
        take_over(model, made)
        context.editor = Editor(model)
        context.finished.clear()
        context.notes.clear()
        context.observer.applied(self.name, graph.exit, tuple(replaced.came))
        return max(1, len(replaced.vanished), len(replaced.came))


class Facts(TypedDict, total=False):
    """What `Pass` says of a pass, for one that is made here; `exactness` is "rounding" unless given."""

    level: Level
    after: tuple[str, ...]
    before: tuple[str, ...]
    exactness: Exactness
    changes_signature: bool


def _members(facts: Facts, name: str) -> dict[str, Any]:  # Any: of a class
    """The facts of a pass as members of its class. Raises TypeError for what is none, as a call with such an argument does."""
    if unknown := facts.keys() - Facts.__annotations__.keys():
        raise TypeError(f"a pass has no {min(unknown)!r}{nearest(min(unknown), Facts.__annotations__)}")
    return {"exactness": "rounding", **facts, "name": name}


class Unheld(Exception):
    """The library cannot hold the model."""


@contextmanager
def _at_fault() -> Iterator[None]:
    """Whatever is wrong with a model that a foreign pass made is a fault of the pass, not of the model that it was given."""
    try:
        yield
    except ModelError as error:
        raise InternalError(f"what it made is no valid model: {error}") from error


# ---- onnx-graphsurgeon


@dataclass(frozen=True)
class _GraphsurgeonPass(ForeignPass):
    """A function on `gs.Graph`."""

    library: ClassVar[str] = "onnx-graphsurgeon"
    function: ClassVar[Callable[..., Any]]  # Any: it takes the options that the class has

    def remade(self, model: Model) -> tuple[Model | None, bool]:
        overridable = [value.name for value in model.graph.initializers.values() if value.overridable]
        if overridable:
            raise Unheld(f"onnx-graphsurgeon would make constants of the inputs that have a default: {', '.join(overridable[:3])}")
        try:
            given = to_graphsurgeon(model)
        except ModelError as error:
            raise Unheld(str(error)) from error
        options = {each.name: getattr(self, each.name) for each in fields(self)}
        result = type(self).function(given, **options)
        if result is not None and not is_surgeon_graph(result):
            raise InternalError(f"the function returned {result!r}; it returns a gs.Graph, or None for the one that it was given")
        with _at_fault():
            return from_graphsurgeon(given if result is None else result, model), False


@overload
def graphsurgeon_pass(function: Callable[..., SurgeonGraph | None], /) -> type[Pass]: ...
@overload
def graphsurgeon_pass(*, name: str = "", **facts: Unpack[Facts]) -> Callable[[Callable[..., SurgeonGraph | None]], type[Pass]]: ...
def graphsurgeon_pass(
    function: Callable[..., SurgeonGraph | None] | None = None, /, *, name: str = "", **facts: Unpack[Facts]
) -> type[Pass] | Callable[[Callable[..., SurgeonGraph | None]], type[Pass]]:
    """Make a class of passes of a function that edits a `gs.Graph` in place, or returns another one.

    Its keyword-only parameters, annotated and with defaults, are the options of the pass; `name` is the function's, with hyphens, unless
    given; a lambda or a functools.partial needs one. The rest is as in `Pass`. The function runs once for the whole model.
    `Pipeline([drop_plugins()])`, and in a plug-in `passes={"drop-plugins": "my_passes:drop_plugins"}`. What a `gs.Graph` cannot hold is
    listed in `graphopt.interop.graphsurgeon`; of what stays it is said again afterwards.

    Raises SpecError when the function's parameters cannot be options, or it has no name. When the pass runs, what the function raises is
    an InternalError that names the pass, and so is a graph that is no model.

    >>> @graphsurgeon_pass                                                          # doctest: +SKIP
    ... def fold_all(graph: gs.Graph, *, size: int = 1 << 20) -> None:
    ...     graph.fold_constants(size_threshold=size).cleanup()
    >>> graphopt.optimize(model, pipeline=Pipeline([fold_all(), "level1"]))          # doctest: +SKIP
    """
    _members(facts, name)  # what is none is said where it is written

    def decorated(function: Callable[..., SurgeonGraph | None]) -> type[Pass]:
        told = _told_of(function)
        what = getattr(told, "__name__", type(told).__name__)
        options = _options(function, what)
        called = name or _own_name(function).strip("_").replace("_", "-")
        doc = told.__doc__ or f"The function {what}, which edits a graph of onnx-graphsurgeon."
        members = {**_members(facts, called), "function": staticmethod(function), "code": told, "__doc__": doc}
        return _class(what, _GraphsurgeonPass, options, members, told.__module__)

    return decorated if function is None else decorated(function)


def _told_of(function: Any) -> Any:  # Any: something that can be called
    """Whose name, doc string, module and place in a file are those of the pass: of a functools.partial, the function that it calls."""
    return function.func if isinstance(function, partial) else function


def _own_name(function: Any) -> str:  # Any: something that can be called
    """What a function is called, or the class of an object. Raises SpecError for what has no name that tells anything."""
    name = str(getattr(function, "__name__", type(function).__name__))
    if name == "<lambda>" or isinstance(function, partial):
        kind = "functools.partial" if isinstance(function, partial) else "lambda"
        raise SpecError(f"a {kind} has no name that a pass could have; give it one with name='my-pass'")
    return name


def _options(function: Callable[..., object], what: str) -> list[tuple[str, Any, Any]]:
    """The keyword-only parameters of a function, as fields of a dataclass."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
        raise SpecError(f"{what} takes no graph: its first parameter is the gs.Graph, and keyword-only ones are options")
    rest = parameters[1:]
    for each in rest:
        if each.kind is not each.KEYWORD_ONLY or each.annotation is each.empty:
            raise SpecError(f"{what}: the parameter {each.name!r} is no option; options are annotated and follow a *")
    return [(each.name, each.annotation, field(default=MISSING if each.default is each.empty else each.default)) for each in rest]


def _class(name: str, base: type[ForeignPass], options: list[tuple[str, Any, Any]], members: dict[str, Any], module: str) -> type[Pass]:
    if not options:
        return type(name, (base,), {**members, "__module__": module})
    made: type[Pass] = make_dataclass(name, options, bases=(base,), namespace=members, frozen=True)
    made.__module__ = module  # where the names in the annotations are looked up
    return made


# ---- onnx-ir and onnxscript


@dataclass(frozen=True)
class _OnnxIrPass(ForeignPass):
    """A function on `onnx_ir.Model`: it returns the model, and whether it says that it changed anything, None when it does not say."""

    library: ClassVar[str] = "onnx-ir"
    function: ClassVar[Callable[[Any], tuple[Any, bool | None]]]  # Any: an onnx_ir.Model, which need not be installed

    def remade(self, model: Model) -> tuple[Model | None, bool]:
        try:
            given = to_onnx_ir(model)
        except ModelError as error:
            raise Unheld(str(error)) from error
        result, modified = type(self).function(given)
        if modified is False:
            return None, False
        with _at_fault():
            return from_onnx_ir(result), modified is True


def onnx_ir_pass(
    step: Any,  # Any: an onnx_ir.passes.PassBase, a class of them, or a function; onnx-ir need not be installed
    *,
    name: str = "",
    **facts: Unpack[Facts],
) -> Pass:
    """Make a pass of one of onnx-ir's, in place or functional: `Pipeline([onnx_ir_pass(IdentityEliminationPass()), "level1"])`.

    `step` may also be a class of passes that takes no arguments, or a function that takes an `onnx_ir.Model` and returns one, a PassResult,
    or None when it edits the model that it is given; of changes to nothing but metadata only a PassResult tells. `name` is that of the
    class or function, in kebab-case and without "-pass", unless given; a lambda or a functools.partial needs one. The rest is as in
    `Pass`. In a plug-in: `passes={"identity-elimination": "my_passes:THE_PASS"}`. Weights are not copied.

    Raises SpecError for anything else, and for what has no name. When the pass runs, what it raises is an InternalError that names the
    pass, and so is what it makes that is no model.
    """
    runs = step() if isinstance(step, type) else step
    if not callable(runs):
        raise SpecError(f"no pass can be made of {step!r}: give a pass of onnx-ir, or a function on onnx_ir.Model")
    told = _told_of(runs)
    what = getattr(told, "__name__", type(told).__name__)

    def function(given: IrModel) -> tuple[Any, bool | None]:
        result = runs(given)
        if result is None:
            return given, None
        model = getattr(result, "model", result)
        if not is_ir_model(model):
            raise InternalError(f"{what} returned {result!r}, no onnx_ir.Model")
        return model, getattr(result, "modified", None)

    called = name or re.sub(r"-pass$", "", _kebab(_own_name(runs)))
    doc = inspect.getdoc(told) or f"{what} of onnx-ir."
    return _ir_pass(what, function, {**_members(facts, called), "code": told, "__doc__": doc})


def _ir_pass(what: str, function: Callable[[Any], tuple[Any, bool | None]], members: dict[str, Any]) -> Pass:
    return _class(what, _OnnxIrPass, [], {**members, "function": staticmethod(function)}, __name__)()


def onnxscript_rules(
    rules: Any,  # Any: rules of onnxscript, which need not be installed
    *,
    name: str = "onnxscript-rules",
    **facts: Unpack[Facts],
) -> Pass:
    """Make a pass of rewrite rules of onnxscript: a `RewriteRule`, a `RewriteRuleSet`, or a list of rules. Weights are not copied.

    It applies them once over the model, as onnxscript does; in a `Fixpoint` until none applies. The rest is as in `onnx_ir_pass`.
    """
    chosen = list(rules) if isinstance(rules, Iterable) and not hasattr(rules, "apply_to_model") else rules

    names = [str(each.name) for each in (chosen if isinstance(chosen, list) else getattr(chosen, "rules", [chosen])) if each.name]
    doc = f"Rewrite rules of onnxscript: {', '.join(names) or 'without names'}."

    def function(given: IrModel) -> tuple[Any, bool | None]:
        return given, apply_onnxscript(chosen, given) > 0

    return _ir_pass("OnnxscriptRules", function, {**_members(facts, name), "__doc__": doc})


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", "-", name).strip("-").lower()

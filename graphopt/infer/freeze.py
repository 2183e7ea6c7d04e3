"""Freezing: sizes that a model leaves open become the numbers that the caller gives, everywhere where the model means them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import SupportsIndex, TypeAlias, final

from graphopt.errors import SpecError
from graphopt.infer.model import Listener
from graphopt.io.types import declarable
from graphopt.ir.dim import Dim, Shape, Size
from graphopt.ir.edit import Editor
from graphopt.ir.graph import Value
from graphopt.ir.model import Model
from graphopt.ir.types import MapType, OptionalType, SequenceType, SparseTensorType, TensorType, Type

Extent: TypeAlias = "int | str | None"  # a number, a name, or neither


@final
@dataclass(frozen=True, slots=True)
class Wishes:
    """What a caller wants to be frozen, before any model is looked at.

    `sizes` has a number for a dimension by its name (`batch`) or by its place (`input_ids:0`), `shapes` a whole shape for an input, in
    which a name is given to a dimension that has none and None leaves a dimension as it is.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, tuple[Extent, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, sizes: Mapping[str, int] | None, shapes: Mapping[str, Sequence[Extent]] | None) -> Wishes:
        """Check what a program gave. Raises SpecError for what is no size, no name and no shape."""
        given: tuple[tuple[object, str], ...] = ((sizes, "freeze takes {name: size}"), (shapes, "input_shapes takes {input: shape}"))
        for mapping, what in given:
            if mapping is not None and not (isinstance(mapping, Mapping) and all(isinstance(name, str) for name in mapping)):
                raise SpecError(f"{what}, not {mapping!r}")
        for name, shape in (shapes or {}).items():
            if isinstance(shape, (str, bytes)) or not isinstance(shape, Sequence):
                raise SpecError(f"input_shapes of {name!r} must be a shape, as (1, 3, None, 'width') is one, not {shape!r}")
        return cls(
            {name: _number(size, f"freeze: {name}") for name, size in (sizes or {}).items()},
            {name: tuple(_extent(size, f"input_shapes: {name}") for size in shape) for name, shape in (shapes or {}).items()},
        )

    def __bool__(self) -> bool:
        return bool(self.sizes or self.shapes)

    def words(self) -> list[str]:
        """As `--freeze` and `--set-input-shape` take it."""
        sizes = [f"--freeze={name}={size}" for name, size in self.sizes.items()]
        shapes = [f"{name}={','.join('?' if size is None else str(size) for size in shape)}" for name, shape in self.shapes.items()]
        return [*sizes, *(f"--set-input-shape={shape}" for shape in shapes)]


@final
@dataclass(frozen=True, slots=True)
class Frozen:
    """What was frozen: `names` of dimensions -> numbers, `places` (`x:0`) of dimensions without a name -> numbers, or the names they got.

    `shapes` are the shapes that inputs with such places have now; `left` names the dimensions of inputs that are still dynamic.
    """

    names: dict[str, int] = field(default_factory=dict)
    places: dict[str, int | str] = field(default_factory=dict)
    shapes: dict[str, tuple[Extent, ...]] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.places)

    def __str__(self) -> str:
        return ", ".join(f"{name}={size}" for name, size in (*self.names.items(), *self.places.items()))


def freeze_dimensions(model: Model, wishes: Wishes, observer: Listener | None = None) -> Frozen:
    """Make dimensions numbers: in the types of the inputs, and wherever the main graph and the graphs inside it use their names.

    A name means the same size everywhere, so a place with a name freezes the name, and the observer is warned. What lies inside local
    functions has names of its own and stays. Nothing is inferred here, and nothing is changed when an error is raised.

    Raises SpecError for what the model's inputs do not have, for two numbers for one size, and for what a declaration contradicts.
    """
    plan = _Plan(model)
    for name, shape in wishes.shapes.items():
        plan.reshape(name, shape)
    for key, size in wishes.sizes.items():
        plan.freeze(key, size)
    frozen = plan.result()
    if wishes:
        plan.apply()
    if plan.through and observer is not None:
        names = ", ".join(f"{name!r} (asked for as {place})" for name, place in plan.through.items())
        observer.warned("freeze", f"a dimension with a name is frozen wherever the model uses the name: {names}")
    return frozen


@final
class _Plan:
    """What is to become of a model's sizes. `through` holds the names that were frozen by a place -> the first such place."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.inputs = {value.name: value for value in model.graph.inputs}
        self.shapes = {name: _extents(value) for name, value in self.inputs.items()}
        self.named = dict.fromkeys(name for value in model.graph.inputs for name in _names(value.type))
        self.names: dict[str, int] = {}
        self.places: dict[str, int | str] = {}
        self.through: dict[str, str] = {}

    # ---- wishes

    def reshape(self, name: str, wished: tuple[Extent, ...]) -> None:
        """Give an input a whole shape."""
        shape = self._shape(name, f"the shape of {name!r}")
        if shape is None:
            shape = self.shapes[name] = (None,) * len(wished)
        if len(shape) != len(wished):
            raise SpecError(f"the input {self._said(name)} has {len(shape)} dimensions, the shape asked for has {len(wished)}")
        for axis, size in enumerate(wished):
            if isinstance(size, int):
                self._place(name, axis, size)
            elif size is not None:
                self._call(name, axis, size)

    def freeze(self, key: str, size: int) -> None:
        """Make a dimension a number, by its name or its place; the name counts first."""
        if key in self.named:
            self._name(key, size)
            return
        name, colon, axis = key.rpartition(":")
        if not colon or name not in self.inputs or not axis.isdecimal():
            raise SpecError(f"no input has a dimension {key!r}{self._nearest(key)}")
        shape = self._shape(name, key)
        if shape is None:
            raise SpecError(f"the input {name!r} is declared without a shape: give all of it, as input_shapes or --set-input-shape does")
        if int(axis) >= len(shape):
            last = f"its last one is {name}:{len(shape) - 1}" if shape else "it is a scalar"
            raise SpecError(f"the input {self._said(name)} has no dimension {key!r}: {last}")
        self._place(name, int(axis), size)

    def _shape(self, name: str, what: str) -> tuple[Extent, ...] | None:
        """The shape that an input has by now; None when it declares no shape at all."""
        if name not in self.inputs:
            raise SpecError(f"{what} cannot be set, no input is called {name!r}{_near(name, self.inputs)}; inputs: {_listed(self.inputs)}")
        declared = self.inputs[name].type
        if not isinstance(declared, (TensorType, SparseTensorType)):
            raise SpecError(f"{what} cannot be set: the input {name!r} is {declared or 'of a type that is not known'}, no tensor")
        return self.shapes[name]

    def _place(self, name: str, axis: int, size: int) -> None:
        shape = self.shapes[name] or ()
        declared, place = shape[axis], f"{name}:{axis}"
        if isinstance(declared, str):
            self.through.setdefault(declared, place)
            self._name(declared, size)
        elif declared is None:
            self.places[place] = size
            self.shapes[name] = (*shape[:axis], size, *shape[axis + 1 :])
        elif declared != size:
            raise SpecError(f"{place!r} cannot be {size}, it is {declared} in the input {self._said(name)}{self._dynamic()}")

    def _call(self, name: str, axis: int, wished: str) -> None:
        """Give a dimension that has no name one."""
        shape = self.shapes[name] or ()
        declared, place = shape[axis], f"{name}:{axis}"
        if declared is None:
            self.places[place] = wished
            self.named[wished] = None
            self.shapes[name] = (*shape[:axis], wished, *shape[axis + 1 :])
        elif declared != wished:
            raise SpecError(f"{place!r} cannot be called {wished!r}, it is {declared} in the input {self._said(name)}")

    def _name(self, name: str, size: int) -> None:
        known = self.names.setdefault(name, size)
        if known != size:
            raise SpecError(f"the dimension {name!r} cannot be both {known} and {size}: a name means one size in the whole model")

    # ---- the result

    def result(self) -> Frozen:
        """What is frozen now. Raises SpecError when the stored default of an input has another shape."""
        for value in self.inputs.values():
            shape = self._now(value.name)
            stored = value.tensor.shape if value.tensor is not None else None
            if stored is None or shape is None or shape == _extents(value):
                continue
            if len(stored) != len(shape) or any(map(_differ, stored, shape)):
                raise SpecError(f"the input {self._said(value.name)} cannot be frozen so: its stored default has the shape {list(stored)}")
        changed = dict.fromkeys(place.rpartition(":")[0] for place in self.places)
        shapes = {name: shape for name in changed if (shape := self._now(name)) is not None}
        return Frozen(dict(self.names), dict(self.places), shapes, tuple(self._open()))

    def apply(self) -> None:
        """Change the model."""
        editor = Editor(self.model)
        sizes: dict[str, int | Dim] = dict(self.names)
        for place, size in self.places.items():  # inference may have named it already
            name, _, axis = place.rpartition(":")
            sizes[f"?{name}.{axis}"] = self.names.get(size, Dim.symbol(size)) if isinstance(size, str) else size
        for name, value in self.inputs.items():
            shape, declared = self.shapes[name], value.type
            if shape is not None and isinstance(declared, (TensorType, SparseTensorType)):
                known: Shape = declared.shape if declared.shape is not None else (None,) * len(shape)
                both = zip(known, shape, strict=True)
                editor.set_type(value, replace(declared, shape=tuple(old if new is None else _size(new) for old, new in both)))
        for graph in self.model.graph.walk():
            for value in [*graph.inputs, *(made for node in graph for made in node.outputs)]:
                editor.set_type(value, _substituted(value.type, sizes))
                if value.contents is not None:
                    value.contents = tuple(size.substitute(sizes) if isinstance(size, Dim) else size for size in value.contents)
        self.model.frozen.update({name: size for name, size in sizes.items() if isinstance(size, int)})

    def _said(self, name: str) -> str:
        """An input as a message names it: 'x' (float32[N, 3, ?])."""
        kind, shape = self.inputs[name].type, _extents(self.inputs[name])
        dtype = kind.dtype.name if isinstance(kind, (TensorType, SparseTensorType)) else ""
        return f"{name!r} ({dtype}[{', '.join('?' if size is None else str(size) for size in shape or ())}])"

    def _now(self, name: str) -> tuple[Extent, ...] | None:
        shape = self.shapes[name]
        return None if shape is None else tuple(self.names.get(size, size) if isinstance(size, str) else size for size in shape)

    def _open(self) -> Iterator[str]:
        """The dimensions of inputs that are no numbers: by name, or by place."""
        yield from (name for name in self.named if name not in self.names)
        for name, shape in self.shapes.items():
            yield from (f"{name}:{axis}" for axis, size in enumerate(shape or ()) if size is None)

    def _nearest(self, key: str) -> str:
        places = [f"{name}:{axis}" for name, shape in self.shapes.items() for axis in range(len(shape or ()))]
        return _near(key, [*self.named, *places]) + self._dynamic()

    def _dynamic(self) -> str:
        found = list(self._open())
        return f"; dynamic dimensions: {_listed(found)}" if found else "; no other dimension of the inputs is dynamic"


# ---- sizes and types


def _number(size: object, what: str) -> int:
    try:
        number = operator.index(size) if isinstance(size, SupportsIndex) and not isinstance(size, bool) else -1
    except TypeError:  # an array of several
        number = -1
    if not 0 <= number < 1 << 63:  # what a dimension in the file can hold
        raise SpecError(f"{what} must be a whole number from 0 on, not {size!r}")
    return number


def _extent(size: object, what: str) -> Extent:
    if size is None or size == "?":
        return None
    if not isinstance(size, str):
        return _number(size, f"{what}: a size")
    if not (size[:1].isalpha() or size[:1] == "_"):
        raise SpecError(f"{what}: a size is a whole number from 0 on, a name, or ? to leave it as it is; {size!r} is neither")
    return size


def _size(extent: Extent) -> Size:
    return Dim.symbol(extent) if isinstance(extent, str) else extent


def _extents(value: Value) -> tuple[Extent, ...] | None:
    """What a model declares of an input; a size that inference named has no name."""
    shape = value.type.shape if isinstance(value.type, (TensorType, SparseTensorType)) else None
    return None if shape is None else tuple(map(declarable, shape))


def _names(type: Type | None) -> Iterator[str]:
    """The names of the sizes in a type of any kind."""
    if isinstance(type, (TensorType, SparseTensorType)):
        for size in type.shape or ():
            name = declarable(size)
            if isinstance(name, str):
                yield name
    elif isinstance(type, (SequenceType, OptionalType)):
        yield from _names(type.element)
    elif isinstance(type, MapType):
        yield from _names(type.value)


def _substituted(type: Type | None, sizes: Mapping[str, int | Dim]) -> Type | None:
    """The type with sizes put in for symbols."""
    if isinstance(type, (TensorType, SparseTensorType)):
        return replace(type, shape=_substituted_shape(type.shape, sizes))
    if isinstance(type, SequenceType):
        return SequenceType(_substituted(type.element, sizes))
    if isinstance(type, OptionalType):
        return OptionalType(_substituted(type.element, sizes))
    return MapType(type.key, _substituted(type.value, sizes)) if isinstance(type, MapType) else type


def _substituted_shape(shape: Shape | None, sizes: Mapping[str, int | Dim]) -> Shape | None:
    if shape is None or not any(isinstance(size, Dim) for size in shape):
        return shape
    found = [size.substitute(sizes) if isinstance(size, Dim) else size for size in shape]
    return tuple(None if isinstance(size, int) and size < 0 else size for size in found)  # below 0: no run gets there


def _differ(one: int, other: Extent) -> bool:
    return isinstance(other, int) and one != other


# ---- words

_LISTED = 12


def _near(word: str, known: Sequence[str] | Mapping[str, object]) -> str:
    import difflib  # costs start-up time, and most runs have no error

    close = difflib.get_close_matches(word, list(known), 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _listed(known: Iterable[str]) -> str:
    names = list(known)
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")

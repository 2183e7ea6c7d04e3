"""Models of onnx-ir, which become models here and come back, their weights shared and never copied.

What its models cannot hold; read from its serializer, 0.1.7 and 1.1.0, and from what comes back of models that have it:

    not said again      training_info, value_info and quantization annotations of names that the graph does not make, value_info of what is
                        an input or output as well, unknown fields, texts that are set and empty; declared types of initializers that say
                        what the tensor says; in 0.1.7 metadata and doc strings of values without a type
    said otherwise      value_info has the order of the nodes, after what initializers declare; metadata_props and the parameters of
                        annotations are sorted by key; outputs without a name at the end of a node's list are gone; a domain is imported
                        once, "ai.onnx" as ""; values inside functions are described in the main graph before IR version 10
    refused on the way  sparse tensors, values that are maps or opaque, and element types that the installed onnx-ir does not know
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, final

import numpy as np
import onnx

from graphopt.errors import ModelError, SpecError
from graphopt.io.held import from_held, to_held
from graphopt.io.pending import Holes
from graphopt.io.walking import all_graphs
from graphopt.io.wire import BIG
from graphopt.ir.dtype import DType
from graphopt.ir.model import Model
from graphopt.ir.tensor import Storage, Tensor

if TYPE_CHECKING:
    import onnx_ir

_Attribute = onnx.AttributeProto
_UNHELD_ATTRIBUTES = {_Attribute.SPARSE_TENSOR, _Attribute.SPARSE_TENSORS}
_UNHELD_TYPES = ("map_type", "opaque_type")
_DTYPES = {int(kind): kind for kind in DType}


class IrModel(Protocol):
    """What a type checker may know of an `onnx_ir.Model` where onnx-ir is not installed."""

    @property
    def graph(self) -> Any: ...  # Any: its types are not there
    @property
    def opset_imports(self) -> Any: ...
    @property
    def producer_name(self) -> Any: ...


def is_ir_model(source: object) -> TypeGuard[onnx_ir.Model]:
    """Whether it is an `onnx_ir.Model`, found out without importing onnx-ir."""
    return any(kind.__name__ == "Model" and kind.__module__.partition(".")[0] == "onnx_ir" for kind in type(source).__mro__)


def to_onnx_ir(model: Model) -> onnx_ir.Model:
    """The `onnx_ir.Model` of a model; later edits of either do not reach the other.

    Tensors of 1 KiB and more are not copied: they are `LazyTensor`s, whose arrays are made when somebody reads them, from where the
    bytes lie; one that came from onnx-ir is the tensor that it was, and what is written into its array reaches both. What an
    `onnx_ir.Model` cannot hold is listed at the top of this module. Exact. Raises ModelError for what is refused there.
    """
    library = _library()
    message, contents = to_held(model)
    obstacle = next(_obstacles(message), None)
    if obstacle is not None:
        raise ModelError(f"onnx-ir cannot hold {obstacle}; keep this model as a graphopt Model or as a ModelProto")
    try:
        made: onnx_ir.Model = library.from_proto(message)
    except Exception as error:  # SerdeError around whatever it stumbles over, and what protobuf raises
        raise ModelError(f"the model {message.graph.name!r} cannot be read by onnx-ir: {_reason(error)}") from error
    _put_back(made, contents)
    return made


def from_onnx_ir(model: onnx_ir.Model) -> Model:
    """The model that an `onnx_ir.Model` describes; later edits of that do not reach it, except in place in its arrays.

    Tensors of 1 KiB and more are not copied and not read: the model reads them where onnx-ir would, so whoever writes into an array of
    such a tensor afterwards (`tensor.numpy()[0] = 1`) changes both; give the value another tensor instead. Exact. Raises ModelError when
    onnx-ir cannot write the model, or what it writes is no model.
    """
    library = _library()
    holes = Holes()
    try:
        message: onnx.ModelProto = library.serde.serialize_model(_model_view(model, holes))
    except Exception as error:  # see above
        raise ModelError(f"the model {model.graph.name!r} cannot be written by onnx-ir: {_reason(error)}") from error
    for graph in all_graphs(message):
        _drop_repeated_types(graph)
    return from_held(message, holes.contents, f"the onnx-ir model {model.graph.name!r}")


def apply_onnxscript(rules: Any, model: IrModel) -> int:  # Any: rules of onnxscript
    """Apply a rule, a set or a list of rules of onnxscript to an `onnx_ir.Model`, in place; returns how often they applied.

    Raises SpecError when onnxscript is not installed.
    """
    try:
        from onnxscript.rewriter.pattern import RewriteRuleSet
    except ImportError as error:
        raise SpecError(f"onnxscript is not installed ({error}); get it with: pip install 'graphopt[onnx-ir]'") from error
    chosen: Any = rules if hasattr(rules, "apply_to_model") else RewriteRuleSet(rules)  # Any: a rule or a set
    return int(chosen.apply_to_model(model))


def _library() -> Any:  # Any: a module
    """The package, or a SpecError that says how to get it."""
    try:
        import onnx_ir
    except ImportError as error:
        raise SpecError(f"onnx-ir is not installed ({error}); get it with: pip install 'graphopt[onnx-ir]'") from error
    return onnx_ir


def _reason(error: BaseException) -> str:
    """The first line of what went wrong at the bottom: onnx-ir wraps an error once for each message that it is part of."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"


def _obstacles(message: onnx.ModelProto) -> Iterator[str]:
    """What onnx-ir would leave out or fail on."""
    for graph in all_graphs(message):
        for tensor in graph.sparse_initializer:
            yield f"the sparse initializer {tensor.values.name!r}"
        for info in (*graph.input, *graph.output, *graph.value_info):
            if (kind := _innermost(info.type)) in _UNHELD_TYPES:
                yield f"the value {info.name!r}, of the kind {kind}"
    nodes = [node for graph in all_graphs(message) for node in graph.node] + [node for each in message.functions for node in each.node]
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        if attribute.type in _UNHELD_ATTRIBUTES:
            yield f"the attribute {attribute.name!r} of kind {_Attribute.AttributeType.Name(attribute.type)}"


def _innermost(type: onnx.TypeProto) -> str | None:
    """The kind of a type, or of what its sequences and optionals hold."""
    kind: str | None
    while (kind := type.WhichOneof("value")) in ("sequence_type", "optional_type"):
        type = type.sequence_type.elem_type if kind == "sequence_type" else type.optional_type.elem_type
    return kind


def _drop_repeated_types(graph: onnx.GraphProto) -> None:
    """Take out of value_info what onnx-ir says of every initializer: the type and the shape that its tensor has."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for index in reversed(range(len(graph.value_info))):
        info = graph.value_info[index]
        tensor = stored.get(info.name)
        if tensor is None:
            continue
        plain = onnx.ValueInfoProto(name=info.name)
        plain.type.tensor_type.elem_type = tensor.data_type
        plain.type.tensor_type.shape.SetInParent()
        for extent in tensor.dims:
            plain.type.tensor_type.shape.dim.add(dim_value=extent)
        if info == plain:
            del graph.value_info[index]


# ---- to onnx-ir


def _put_back(made: onnx_ir.Model, contents: Mapping[bytes, Storage]) -> None:
    """Let what the tokens stand for be the content of the tensors that hold one."""
    if not contents:
        return
    import onnx_ir

    def whole(tensor: Any) -> Any:  # Any: a tensor of any of onnx-ir's kinds
        raw = getattr(tensor, "raw", None)
        if not isinstance(raw, onnx.TensorProto) or raw.raw_data not in contents:
            return tensor
        return _ir_tensor(tensor, contents[raw.raw_data])

    def visit(graph: Any) -> None:  # Any: a Graph or a Function
        for value in getattr(graph, "initializers", {}).values():
            value.const_value = whole(value.const_value)
        for node in graph:
            for name, attribute in list(node.attributes.items()):
                if attribute.is_ref():
                    continue
                if attribute.type in (onnx_ir.AttributeType.TENSOR, onnx_ir.AttributeType.TENSORS):
                    node.attributes[name] = _with_tensors(attribute, whole)
                for inner in _subgraphs(attribute):
                    visit(inner)

    for graph in (made.graph, *made.functions.values()):
        visit(graph)


def _with_tensors(attribute: onnx_ir.Attr, change: Callable[[Any], Any]) -> onnx_ir.Attr:
    """An attribute that holds tensors, each as `change` makes it; itself when that changes none."""
    import onnx_ir

    is_one = attribute.type == onnx_ir.AttributeType.TENSOR
    before = [attribute.value] if is_one else list(attribute.value)
    after = [change(tensor) for tensor in before]
    if all(new is old for new, old in zip(after, before, strict=True)):
        return attribute
    return onnx_ir.Attr(attribute.name, attribute.type, after[0] if is_one else after, doc_string=attribute.doc_string)


def _subgraphs(attribute: Any) -> tuple[Any, ...]:  # Any: an Attr, whose value its type decides
    import onnx_ir

    if attribute.type == onnx_ir.AttributeType.GRAPH:
        return (attribute.value,)
    return tuple(attribute.value) if attribute.type == onnx_ir.AttributeType.GRAPHS else ()


def _ir_tensor(described: Any, storage: Storage) -> Any:  # Any: tensors of onnx-ir's kinds
    """The tensor of onnx-ir that reads a storage; `described` says type, shape and name."""
    import onnx_ir

    if isinstance(storage, OfOnnxIr) and storage.tensor.dtype == described.dtype and storage.tensor.shape == described.shape:
        return storage.tensor
    read = _Read(storage, described.dtype, described.shape)
    said = {"name": described.name, "doc_string": described.doc_string, "metadata_props": dict(described.metadata_props)}
    return onnx_ir.LazyTensor(read, described.dtype, described.shape, **said)


@final
class _Read:
    """Makes the array of a tensor whose bytes graphopt has; a `LazyTensor` calls it, and it is how one of ours is known again."""

    __slots__ = ("dtype", "shape", "storage")

    def __init__(self, storage: Storage, dtype: Any, shape: Any) -> None:  # Any: onnx-ir's own types
        self.storage, self.dtype, self.shape = storage, dtype, shape

    def __call__(self) -> onnx_ir.Tensor[Any]:
        import onnx_ir

        array = Tensor(_DTYPES[int(self.dtype)], tuple(self.shape), self.storage).numpy()
        return onnx_ir.Tensor(array, dtype=self.dtype, shape=self.shape)


# ---- from onnx-ir


@final
class OfOnnxIr:
    """The bytes of a tensor of onnx-ir, which stay where it has them. Equal to those of the same tensor object."""

    __slots__ = ("dtype", "nbytes", "tensor")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OfOnnxIr) and self.tensor is other.tensor

    def __hash__(self) -> int:
        return id(self.tensor)

    def __init__(self, tensor: Any, dtype: DType, nbytes: int) -> None:  # Any: whatever follows onnx-ir's TensorProtocol
        self.tensor, self.dtype, self.nbytes = tensor, dtype, nbytes

    def view(self) -> memoryview:
        """The bytes; of an array of whole bytes these are the array's own. Raises ModelError when the tensor cannot be read."""
        try:
            return memoryview(self._bytes()).cast("B")
        except Exception as error:  # it may lie in a file, or be computed by a function of anybody's
            raise ModelError(f"the tensor {self.tensor.name!r} of an onnx-ir model cannot be read: {_reason(error)}") from error

    def _bytes(self) -> Any:  # Any: what has a buffer
        if self.dtype.bits < 8:
            return self.tensor.tobytes()
        array = np.ascontiguousarray(self.tensor.numpy())
        return array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data


class _View:
    """An object of onnx-ir with some attributes replaced, for its serializer, which asks for no class: nobody's model is changed."""

    def __init__(self, of: Any, **instead: object) -> None:  # Any: any of onnx-ir's objects
        self._of = of
        self.__dict__.update(instead)

    def __getattr__(self, name: str) -> Any:  # Any: whatever the object has there
        return getattr(self._of, name)


class _GraphView(_View):
    """A graph or a function, its nodes seen through views."""

    def __init__(self, of: Any, node: Callable[[Any], Any], **instead: object) -> None:  # Any: graphs, functions and nodes
        super().__init__(of, **instead)
        self._node = node

    def __iter__(self) -> Iterator[Any]:
        return map(self._node, self._of)

    def __len__(self) -> int:
        return len(self._of)


def _model_view(model: Any, holes: Holes) -> Any:  # Any: a Model, and what stands for one
    """A model in which tokens stand for the bytes of big tensors."""
    import onnx_ir

    kinds = (onnx_ir.AttributeType.TENSOR, onnx_ir.AttributeType.TENSORS)

    def tensor(given: Any) -> Any:
        storage = _storage(given)
        return given if storage is None else _View(given, raw=None, tobytes=lambda: holes.add(storage))

    def graph(given: Any) -> _GraphView:
        stored = {name: _View(value, const_value=tensor(value.const_value)) for name, value in given.initializers.items()}
        return _GraphView(given, node, initializers=stored)

    def attribute(given: Any) -> Any:
        if given.is_ref():
            return given
        if given.type in kinds:
            return _with_tensors(given, tensor)
        inner = [graph(each) for each in _subgraphs(given)]
        return _View(given, value=inner[0] if given.type == onnx_ir.AttributeType.GRAPH else inner) if inner else given

    def node(given: Any) -> Any:
        return _View(given, attributes={name: attribute(each) for name, each in given.attributes.items()}) if given.attributes else given

    functions = {key: _GraphView(each, node) for key, each in model.functions.items()}
    return _View(model, graph=graph(model.graph), functions=functions)


def _storage(tensor: Any) -> Storage | None:  # Any: a tensor of any kind, or None
    """Where the bytes of a tensor lie, when a token is to stand for them: when it is big and its bytes are to be had.

    What its message writes in typed fields is left to onnx-ir, and so is what lies in a file that is not there, which stays a reference.
    """
    import onnx_ir

    kind = _DTYPES.get(int(tensor.dtype)) if tensor is not None else None
    if kind is None or kind in (DType.string, DType.undefined):
        return None
    size = 1
    for extent in tensor.shape:
        size *= int(extent)
    nbytes = (size * kind.bits + 7) // 8
    if isinstance(tensor, onnx_ir.ExternalTensor):
        return OfOnnxIr(tensor, kind, nbytes) if _is_file(tensor.path) else None
    raw = getattr(tensor, "raw", None)  # what a tensor is made of: an array, a message, a function
    if isinstance(raw, _Read):
        return raw.storage
    if nbytes < BIG or (isinstance(raw, onnx.TensorProto) and not raw.HasField("raw_data")):
        return None
    return OfOnnxIr(tensor, kind, nbytes)


def _is_file(path: Any) -> bool:  # Any: a path or its text
    from pathlib import Path

    return Path(path).is_file()



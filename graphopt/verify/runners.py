"""Who runs the models: onnxruntime without its own optimizations, or the reference implementation of onnx."""

from __future__ import annotations

import ctypes
import importlib.util
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from graphopt.errors import ModelError, SpecError
from graphopt.ir.dtype import DType
from graphopt.verify.source import Subject

Feed = Mapping[str, object]


class CannotRun(Exception):
    """A runtime does not load a model, or rejects a feed; the message is its own."""


class Session(Protocol):
    """A loaded model."""

    def run(self, feed: Feed) -> dict[str, object]:
        """All outputs by name. Raises CannotRun."""
        ...


class Runner(Protocol):
    """A runtime: `name` says which, with its version."""

    @property
    def name(self) -> str: ...

    def open(self, subject: Subject) -> Session:
        """Load a model. Raises CannotRun."""
        ...


RUNNERS: Final = ("onnxruntime", "reference")


def runners(wanted: str) -> list[Runner]:
    """The runtimes to try, in their order: `wanted` is a name of RUNNERS, or "auto" for those that are installed.

    Raises SpecError when the wanted one does not exist or is not installed.
    """
    installed = importlib.util.find_spec("onnxruntime") is not None
    if wanted == "auto":
        return [OnnxRuntime(), Reference()] if installed else [Reference()]
    if wanted == "onnxruntime":
        if not installed:
            raise SpecError("onnxruntime is not installed: pip install 'graphopt[ort]', or choose the runner 'reference'")
        return [OnnxRuntime()]
    if wanted == "reference":
        return [Reference()]
    raise SpecError(f"there is no runner {wanted!r}; known: auto, {', '.join(RUNNERS)}")


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """onnxruntime on the CPU with one thread, and with its graph optimizations off unless `optimized`: it computes what the model says."""

    optimized: bool = False

    @property
    def name(self) -> str:
        """What the report says."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}, optimizations {'on' if self.optimized else 'off'}, 1 thread, CPU"

    def open(self, subject: Subject) -> Session:
        """Load a model, by path where there is one: external data and files over 2 GB need it."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # it prints its errors on stderr, and raises them as well
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if self.optimized else levels.ORT_DISABLE_ALL
        executable = _executable(subject)
        try:
            return _OrtSession(onnxruntime.InferenceSession(executable, options, providers=["CPUExecutionProvider"]))
        except Exception as error:  # its errors have no common base below Exception
            raise CannotRun(one_line(error)) from error


# Element types that numpy lacks and onnxruntime's plain `run` refuses or gives back as bare bytes, with the type that carries their bits.
_BY_BITS: Final[dict[str, tuple[DType, type[np.unsignedinteger[Any]]]]] = {
    "tensor(bfloat16)": (DType.bfloat16, np.uint16),
    "tensor(float8e4m3fn)": (DType.float8e4m3fn, np.uint8),
    "tensor(float8e4m3fnuz)": (DType.float8e4m3fnuz, np.uint8),
    "tensor(float8e5m2)": (DType.float8e5m2, np.uint8),
    "tensor(float8e5m2fnuz)": (DType.float8e5m2fnuz, np.uint8),
}


class _OrtSession:
    def __init__(self, session: Any) -> None:  # Any: onnxruntime has no types
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]
        ports = [*session.get_inputs(), *session.get_overridable_initializers()]
        self._inputs = {port.name: port.type for port in ports}
        packed = [port.name for port in (*ports, *session.get_outputs()) if port.type in ("tensor(int4)", "tensor(uint4)")]
        if packed:
            raise CannotRun(f"its Python interface cannot pass the 4-bit integers of {packed[0]}")
        self._by_bits = any(port.type in _BY_BITS for port in (*ports, *session.get_outputs()))

    def run(self, feed: Feed) -> dict[str, object]:
        fed = {name: value for name, value in feed.items() if name in self._inputs}
        try:
            if self._by_bits:
                return self._run_by_bits(fed)
            return dict(zip(self._outputs, self._session.run(None, fed), strict=True))
        except Exception as error:  # as above
            raise CannotRun(one_line(error)) from error

    def _run_by_bits(self, feed: Feed) -> dict[str, object]:
        from onnxruntime import OrtValue

        values = {}
        for name, value in feed.items():
            if self._inputs[name] in _BY_BITS:
                kind, carrier = _BY_BITS[self._inputs[name]]
                bits = np.ascontiguousarray(np.asarray(value)).view(carrier)
                values[name] = OrtValue.ortvalue_from_numpy_with_onnx_type(bits, int(kind))
            else:
                values[name] = OrtValue.ortvalue_from_numpy(value)
        results = self._session.run_with_ort_values(None, values)
        return {name: _fetched(result) for name, result in zip(self._outputs, results, strict=True)}


def _fetched(value: Any) -> object:  # Any: an OrtValue
    kind, _ = _BY_BITS.get(value.data_type(), (None, None))
    if kind is None:
        return value.numpy()
    shape = tuple(value.shape())
    size = math.prod(shape) * kind.bits // 8
    raw = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(raw, dtype=kind.numpy).reshape(shape)


class Reference:
    """onnx.reference: slow, knows every standard operator, and the only one without onnxruntime."""

    @property
    def name(self) -> str:
        """What the report says."""
        import onnx

        return f"onnx.reference {onnx.__version__}"

    def open(self, subject: Subject) -> Session:
        """Load a model."""
        from onnx.reference import ReferenceEvaluator

        executable = _executable(subject)
        try:
            model: Any = subject.proto() if isinstance(executable, bytes) else executable
            return _ReferenceSession(ReferenceEvaluator(_without_functions(model)))
        except Exception as error:  # a kernel written in Python may raise anything
            raise CannotRun(one_line(error)) from error


def _without_functions(model: Any) -> Any:  # Any: a path or a ModelProto
    """The model with its functions inlined: inside them no types are known, and some kernels (Gelu) are chosen by the types."""
    from onnx import inliner, shape_inference

    return model if isinstance(model, str) or not model.functions else shape_inference.infer_shapes(inliner.inline_local_functions(model))


class _ReferenceSession:
    def __init__(self, evaluator: Any) -> None:  # Any: typed loosely in onnx
        self._evaluator = evaluator

    def run(self, feed: Feed) -> dict[str, object]:
        inputs = set(self._evaluator.input_names)
        # Copies: some kernels write into what they are given.
        fed = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in feed.items() if name in inputs}
        try:
            with np.errstate(all="ignore"):
                results = self._evaluator.run(None, fed)
        except Exception as error:  # as above
            raise CannotRun(one_line(error)) from error
        return dict(zip(self._evaluator.output_names, results, strict=True))


def _executable(subject: Subject) -> str | bytes:
    try:
        return subject.executable()
    except ModelError as error:
        raise CannotRun(str(error)) from error


def one_line(error: BaseException) -> str:
    """An error as one line that fits into a report."""
    words = _without_signature(" ".join(f"{type(error).__name__}: {error}".split()))
    return words if len(words) <= MAX_WORDS else words[:MAX_WORDS] + "..."


def _without_signature(words: str) -> str:
    """An error without the C++ function that raised it, which onnxruntime puts before what it has to say."""
    place = re.search(r"(?:/|\b[A-Za-z]:\\)\S*\.(?:cc|cpp|h):\d+ ", words)
    if place is None:
        return words
    depth = 0
    for end in range(place.end(), len(words)):
        depth += {"(": 1, ")": -1}.get(words[end], 0)
        if words[end] == ")" and not depth:
            said = re.sub(r"^( const)?( \[with .*?\])?\s*", "", words[end + 1 :])
            return words[: place.start()] + said if said else words
    return words


MAX_WORDS = 300  # characters

"""What is to be known of weights: how they are stored, and, where it is asked for, what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphopt.errors import ModelError
from graphopt.ir.dtype import DType
from graphopt.ir.model import Model
from graphopt.ir.tensor import Tensor, release
from graphopt.observe.check.finding import Finding, counted
from graphopt.observe.cost.weights import Weights, held_by
from graphopt.observe.matching import is_one_place
from graphopt.observe.trace import label

MOST = (1 << 31) - 1  # bytes in one protobuf message
LARGE = 1 << 20  # bytes of a Constant that would better be an initializer
SMALL = 1 << 10  # bytes of a tensor so small that nobody notices how it is stored or computed with
PIECE = 1 << 22  # elements looked at together


def of_storage(model: Model) -> Iterator[Finding]:
    """Where weights lie and in which type; none is read."""
    stored = Weights.of(model)
    if stored.inside > MOST:
        text = f"{stored.inside} bytes of weights lie in the model file itself: protobuf reads no file of 2 GiB"
        yield Finding("error", "too-big", text, helps="--external-data")
    held = [
        label(node) for node in model.nodes()
        if node.op == "Constant" and sum(tensor.nbytes for tensor in held_by(node)) > LARGE
    ]  # fmt: skip
    if held:
        text = f"{counted(len(held), 'Constant node holds', 'Constant nodes hold')} more than 1 MiB each, where an initializer would do"
        yield Finding("hint", "large-constants", text, tuple(held), "graphopt optimize")
    wide = {name: tensor for name, tensor in _named(model) if tensor.dtype is DType.float64 and tensor.nbytes > SMALL}
    if wide:
        size = sum(tensor.nbytes for tensor in wide.values())
        text = f"{counted(len(wide), 'weight is', 'weights are')} float64 ({size} bytes), for which few runtimes have fast kernels"
        yield Finding("hint", "float64-weights", f"{text}; export in float32", tuple(wide))


def of_elements(model: Model) -> Iterator[Finding]:
    """Weights that are there twice, and that hold what is no ordinary number. Every weight is read, one after the other."""
    first: dict[bytes, tuple[str, Tensor]] = {}
    twice: dict[str, int] = {}
    found: dict[str, list[str]] = {}
    for name, tensor in _named(model):
        try:
            if tensor.nbytes > SMALL:
                owner, same = first.setdefault(tensor.digest(), (name, tensor))
                if owner != name and not is_one_place(same, tensor):
                    twice[name] = tensor.nbytes
            for what in _odd(tensor):
                found.setdefault(what, []).append(name)
        except (ModelError, TypeError):  # the bytes are not there, which is told; or numpy has no such type
            continue
        release(tensor.storage)
    if twice:
        text = f"{counted(len(twice), 'weight is', 'weights are')} stored a second time, {sum(twice.values())} bytes"
        yield Finding("hint", "duplicate-weights", text, tuple(twice), "graphopt optimize")
    for what, why in _ODD.items():
        if what in found:
            text = f"{counted(len(found[what]), 'weight holds', 'weights hold')} {why}"
            yield Finding("hint" if what == "denormals" else "warning", what, text, tuple(found[what]))


_ODD = {
    "nan": "NaN: whatever reads them is likely to give NaN",
    "infinite": "infinities",
    "denormals": "numbers so small that processors compute with them slowly (denormals), and some runtimes take them for 0",
}


def _named(model: Model) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the model with a name: an initializer's, or that of the node which holds it."""
    for graph in model.graphs():
        yield from ((name, value.tensor) for name, value in graph.initializers.items() if value.tensor is not None)
        for node in graph:
            yield from ((label(node), tensor) for tensor in held_by(node))


def _odd(tensor: Tensor) -> list[str]:
    """Which odd numbers a tensor of floats holds. One infinity alone is there on purpose: a mask or a bound is made of it."""
    if not tensor.dtype.is_float or tensor.dtype.bits < 16:
        return []
    flat, least = tensor.numpy().reshape(-1), float(tensor.dtype.info.smallest_normal)
    seen = [False, False, False]
    for start in range(0, flat.size, PIECE):
        piece: Any = flat[start : start + PIECE].astype(np.float64)  # Any: numpy's own
        size = np.abs(piece)
        seen[0] |= bool(np.isnan(piece).any())
        seen[1] |= flat.size > 1 and bool(np.isinf(piece).any())
        seen[2] |= tensor.nbytes > SMALL and bool(((size > 0) & (size < least)).any())
    return [what for what, is_there in zip(_ODD, seen, strict=True) if is_there]

"""Tensors that are computed when they are written: one is written while the next is computed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from graphopt import io
from graphopt.errors import ModelError
from graphopt.ir import Editor, Model, Tensor

SIDE = 160  # 100 KiB of float32: more than is gathered, less than is written at once


class Computed:
    """Bytes that exist only while somebody looks at them."""

    def __init__(self, seed: int) -> None:
        self.seed, self.nbytes = seed, SIDE * SIDE * 4

    def view(self) -> memoryview:
        return np.full(SIDE * SIDE, self.seed, np.float32).view(np.uint8).data.toreadonly()


def model() -> Model:
    """A model with computed tensors, a small one between."""
    made = Model(opsets={"": 20})
    editor = Editor(made)
    held = Tensor.of(np.zeros((SIDE, SIDE), np.float32))
    for seed in range(6):
        editor.add_constant(made.graph, Tensor(held.dtype, held.shape, Computed(seed)), f"w{seed}")
        editor.add_constant(made.graph, Tensor.of(np.array([seed], np.int64)), f"i{seed}")
    return made


def test_all_bytes_in_their_order(tmp_path: Path) -> None:
    io.save(model(), tmp_path / "m.onnx")
    found = io.load(tmp_path / "m.onnx").graph.initializers
    for seed in range(6):
        tensor, small = found[f"w{seed}"].tensor, found[f"i{seed}"].tensor
        assert tensor is not None and (tensor.numpy() == seed).all()
        assert small is not None and small.numpy().tolist() == [seed]


def test_what_goes_wrong_meanwhile_is_told_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = os.write, [0]

    def full(descriptor: int, data: bytes) -> int:
        calls[0] += len(data) > SIDE * SIDE
        if calls[0] == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ModelError, match="free some space"):
        io.save(model(), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []

"""Tensors that are computed when they are written: one is written while the next is computed, or parts of them are at once."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from graphopt import io
from graphopt.errors import ModelError
from graphopt.ir import Editor, Model, Tensor
from tests.systems import needs_named_pipes

SIDE = 160  # 100 KiB of float32: more than is gathered, less than is written at once


class Computed:
    """Bytes that exist only while somebody looks at them."""

    def __init__(self, seed: int) -> None:
        self.seed, self.nbytes = seed, SIDE * SIDE * 4

    def view(self) -> memoryview:
        return np.full(SIDE * SIDE, self.seed, np.float32).view(np.uint8).data.toreadonly()


class ComputedInParts(Computed):
    """The same in five parts, the last one first; `wrong` is what the third one does."""

    def __init__(self, seed: int, wrong: Callable[[], memoryview] | None = None) -> None:
        super().__init__(seed)
        self.wrong, self.finished = wrong, 0

    def parts(self) -> Iterator[tuple[int, Callable[[], memoryview]]]:
        size = self.nbytes // 5
        for number in reversed(range(5)):
            yield number * size, self.wrong if self.wrong and number == 2 else partial(self._part, number * size, size)

    def _part(self, start: int, size: int) -> memoryview:
        return self.view()[start : start + size]

    def finish(self) -> None:
        self.finished += 1


def model(kind: type[Computed] = Computed) -> Model:
    """A model with computed tensors, a small one between."""
    made = Model(opsets={"": 20})
    editor = Editor(made)
    held = Tensor.of(np.zeros((SIDE, SIDE), np.float32))
    for seed in range(6):
        editor.add_constant(made.graph, Tensor(held.dtype, held.shape, kind(seed)), f"w{seed}")
        editor.add_constant(made.graph, Tensor.of(np.array([seed], np.int64)), f"i{seed}")
    return made


@pytest.mark.parametrize("kind", [Computed, ComputedInParts])
@pytest.mark.parametrize("has_places", [True, False], ids=["file", "without places"])
@pytest.mark.parametrize("external", [True, False], ids=["beside", "inside"])
def test_all_bytes_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Computed], has_places: bool, external: bool
) -> None:
    if not has_places:
        monkeypatch.delattr(os, "pwrite", raising=False)
    made = model(kind)
    io.save(made, tmp_path / "m.onnx", external_data=external)
    storages = [held.tensor.storage for held in made.graph.initializers.values() if held.tensor is not None]
    done = {storage.finished for storage in storages if isinstance(storage, ComputedInParts)}
    assert done == ({has_places and hasattr(os, "pwrite")} if kind is ComputedInParts else set())
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


def test_parts_that_find_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes, place: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full, raising=False)  # Windows has none, and gets one here that would not be used otherwise
    with pytest.raises(ModelError, match="free some space"):
        io.save(model(ComputedInParts), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def _gone() -> memoryview:
    raise ModelError("the weights are gone")


def _short() -> memoryview:
    return memoryview(b"")


@pytest.mark.parametrize(("wrong", "said"), [(_gone, "the weights are gone"), (_short, "promised 102400 bytes and gave 81920")])
def test_parts_that_cannot_be_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[], memoryview], said: str
) -> None:
    if not hasattr(os, "pwrite"):  # Windows has none, and would not ask for parts; nobody looks at what is written here
        monkeypatch.setattr(os, "pwrite", lambda descriptor, data, place: len(data), raising=False)
    made = model()
    held = Tensor.of(np.zeros((SIDE, SIDE), np.float32))
    Editor(made).add_constant(made.graph, Tensor(held.dtype, held.shape, ComputedInParts(1, wrong)), "w")
    with pytest.raises(ModelError, match=said):
        io.save(made, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@needs_named_pipes
def test_parts_go_to_a_pipe_one_after_the_other(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    io.save(model(ComputedInParts), tmp_path / "pipe")
    reader.join()
    io.save(model(ComputedInParts), tmp_path / "m.onnx")
    assert read == [(tmp_path / "m.onnx").read_bytes()]

"""Saving: one file, or a model file with a data file beside it; what was there before stays until the new one is complete.

Two files cannot be replaced in one step. So a data file is never replaced: the new one gets a name that no file has, the model that
names it is renamed into place, and only then the data file that the old model alone named is removed. Whoever is killed in between
leaves the old pair or the new one, and at worst a file that nobody names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import onnx

from graphopt.errors import ModelError
from graphopt.io import wire
from graphopt.io.files import Sink, is_special, publish, replace, sweep, sync_folder, unwritable, written_beside
from graphopt.io.origin import ModelOrigin
from graphopt.io.pending import Holes, Pending, is_external
from graphopt.io.reader import parse
from graphopt.io.tensors import Missing, tensors_in
from graphopt.io.writer import LIMIT, Writer, model_name, serialize
from graphopt.ir.model import Model
from graphopt.ir.tensor import FileSlice, MappedFile

PAGE = 4096  # readers map big tensors, and a mapping starts at a page
LINE = 64  # small ones start at a cache line
BIG_ENOUGH_TO_MAP = 1 << 16


@dataclass(slots=True)
class _Plan:
    """Where each tensor goes: into the model file, into a new data file, or nowhere because it stays where it is."""

    inside: list[Pending] = field(default_factory=list)
    beside: list[Pending] = field(default_factory=list)
    staying: list[Pending] = field(default_factory=list)


def save(model: Model, path: str | os.PathLike[str], *, external_data: bool | None = None) -> None:
    """Write a model to a file; the weights are copied from where they lie and never held in memory together.

    `external_data` says whether tensors of 1 KiB and more go to a data file beside (`NAME.data`, or `NAME.1.data` ... when that exists);
    by default those do that did in the model that was loaded, new ones with them, and all when the model takes 2 GiB and more. By default
    tensors that already lie in an external file stay there when the model is saved into the folder that it came from; with True the model
    gets a data file that is its own.

    The file appears complete or not at all. It may be the one that the model was loaded from. A symbolic link is replaced, not followed.
    Raises ModelError when it cannot be written; what was there before is then unchanged.
    """
    if not isinstance(model, Model):
        raise ModelError(f"save takes what graphopt.load or optimize gave, not a {type(model).__name__}; onnx.save writes a ModelProto")
    target = Path(path)
    writer = Writer()
    message = writer.model(model)
    plan = _plan(model, message, writer.pending, target, external_data)
    try:
        if is_special(target):
            if plan.beside:
                raise ModelError(f"{target}: is no regular file, and external data need a place beside it; choose another path")
            with target.open("wb", buffering=0) as file, closing(Sink(file.fileno())) as sink:
                _write_model(sink, message, model, plan)
            return
        sweep(target)
        _save_beside(model, message, plan, target)
    except OSError as error:
        raise ModelError(f"{unwritable(target, error)}; what was there before is unchanged") from error


# ---- what goes where


def _plan(model: Model, message: onnx.ModelProto, pending: list[Pending], target: Path, external_data: bool | None) -> _Plan:
    plan = _Plan()
    _refuse_own_weights(target, model)
    folder = os.path.realpath(target.parent)
    moving: list[Pending] = []
    for each in pending:
        stays = external_data is None and is_external(each.tensor) and _is_reachable(each, model, folder)
        (plan.staying if stays else moving).append(each)
    had = isinstance(model.origin, ModelOrigin) and model.origin.has_external_data
    for goes_beside in _choices(external_data, had):
        plan.beside = [each for each in moving if each.may_move and goes_beside(each)]
        gone = set(map(id, plan.beside))
        plan.inside = [each for each in moving if id(each) not in gone]
        size = message.ByteSize() + sum(each.tensor.nbytes for each in plan.inside)
        if size <= LIMIT:
            return plan
    hint = "allow external data" if external_data is False else "no external data can help: it is not in tensors that may lie elsewhere"
    raise ModelError(f"{target}: the file would take {size} bytes, and protobuf readers take less than 2 GiB; {hint}")


def _refuse_own_weights(target: Path, model: Model) -> None:
    """Raise ModelError when the file to be written is one that weights of the model lie in, beside the file that it was read from."""
    files = model.origin.files if isinstance(model.origin, ModelOrigin) else ()
    if any(target.exists() and file.path.exists() and target.samefile(file.path) for file in files):
        raise ModelError(f"{target}: holds weights of the model that is to be written there, and they would be lost; choose another path")


def _choices(external_data: bool | None, had: bool) -> tuple[Callable[[Pending], bool], ...]:
    """What goes beside, the least first: the next choice counts when the model file would still be too big.

    Attributes' tensors go last: not every runtime looks for external data in a Constant.
    """
    if external_data is False:
        return (_nothing,)
    if external_data:
        return _initializers, _everything
    return _outside_before_or_new if had else _nothing, _initializers, _everything


def _nothing(each: Pending) -> bool:
    return False


def _outside_before_or_new(each: Pending) -> bool:
    return is_external(each.tensor) or (each.is_initializer and each.tensor.origin is None and each.tensor.nbytes >= wire.BIG)


def _initializers(each: Pending) -> bool:
    return each.tensor.nbytes >= wire.BIG and (each.is_initializer or is_external(each.tensor))


def _everything(each: Pending) -> bool:
    return each.tensor.nbytes >= wire.BIG


def _is_reachable(each: Pending, model: Model, folder: str) -> bool:
    """Whether the reference that the model holds leads to the same bytes from the folder of the new file."""
    storage = each.tensor.storage
    origin = model.origin if isinstance(model.origin, ModelOrigin) else None
    if isinstance(storage, Missing):  # nothing could be copied anyway; a model from memory never said where it lies
        return origin is None or origin.folder is None or os.path.realpath(origin.folder) == folder
    location = _location(each.tensor.origin)
    return isinstance(storage, FileSlice) and os.path.realpath(Path(folder, location)) == os.path.realpath(storage.file.path)


def _location(message: object) -> str:
    entries = message.external_data if isinstance(message, onnx.TensorProto) else ()
    return next((entry.value for entry in entries if entry.key == "location"), "")


# ---- writing


def _save_beside(model: Model, message: onnx.ModelProto, plan: _Plan, target: Path) -> None:
    """Write the data file, then the model file; then remove what the old model alone needed."""
    data_file: Path | None = None
    obsolete = _data_files_of(target)
    replaces = target.exists()
    try:
        if plan.beside:
            with written_beside(target, is_synced=replaces) as (path, sink):
                offsets = [_append(sink, each) for each in plan.beside]
            data_file = _published(path, target)
            for each, offset in zip(plan.beside, offsets, strict=True):
                each.refer(data_file.name, offset)
        with written_beside(target, is_synced=replaces) as (path, sink):
            _write_model(sink, message, model, plan)
        replace(path, target)
    except BaseException:
        if data_file is not None:
            data_file.unlink(missing_ok=True)
        raise
    if replaces:
        sync_folder(target.parent)
    if obsolete:
        _remove(obsolete - _data_files_of(target), model)


def _append(sink: Sink, each: Pending) -> int:
    """Add a tensor's bytes to the data file and say where they start."""
    sink.pad(PAGE if each.tensor.nbytes >= BIG_ENOUGH_TO_MAP else LINE)
    offset = sink.position
    sink.copy(each.tensor.storage)
    return offset


def _write_model(sink: Sink, message: onnx.ModelProto, model: Model, plan: _Plan) -> None:
    origin = model.origin if isinstance(model.origin, ModelOrigin) else None
    holes = Holes(origin.seal, dict(origin.slices)) if origin is not None and origin.slices else Holes()
    for each in plan.staying:
        each.keep_reference()
    for each in plan.inside:
        each.hold(holes)
    data = serialize(message, model)
    try:
        pieces = wire.paste(data, holes.seal, holes.contents)
    except wire.MalformedError as fault:
        raise wire.malformed(model_name(model), fault) from fault
    for piece in pieces:
        if isinstance(piece, (bytes, memoryview)):
            sink.write(piece)
        else:
            sink.copy(piece)
    sink.flush()


def _published(path: Path, target: Path) -> Path:
    try:
        return publish(path, _data_names(target))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


# ---- data files


def _data_names(target: Path) -> Iterator[Path]:
    """The names for a new data file, best first."""
    yield target.with_name(f"{target.name}.data")
    for number in count(1):
        yield target.with_name(f"{target.name}.{number}.data")


def _data_files_of(target: Path) -> set[Path]:
    """The data files that a saved model names and that `save` named for it; none when there is no readable model."""
    ours = re.compile(re.escape(target.name) + r"(\.\d+)?\.data")
    try:
        if not target.is_file() or not any(ours.fullmatch(path.name) for path in target.parent.iterdir()):
            return set()
        file = MappedFile(target)
        message, _, _ = parse(file.view(), str(target), file)
    except (ModelError, OSError):
        return set()  # what is not a model names no file
    named = {entry.value for tensor in tensors_in(message) for entry in tensor.external_data if entry.key == "location"}
    return {target.with_name(name) for name in named if ours.fullmatch(name)}


def _remove(files: set[Path], model: Model) -> None:
    """Remove data files that nothing names any more; the model in memory keeps what it has of them."""
    gone = {os.path.realpath(path) for path in files}
    if isinstance(model.origin, ModelOrigin):
        for file in model.origin.files:
            if str(file.path) in gone:
                file.view()  # mapped before its name goes, so that its bytes outlive it
    for path in files:
        path.unlink(missing_ok=True)

"""Files that appear whole or not at all, and bytes that go from file to file without passing through the process."""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, final

from graphopt.errors import ModelError
from graphopt.ir.tensor import FileSlice, MappedFile, Parted, Storage

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

if sys.platform != "win32":
    import fcntl

_CHUNK = 1 << 23
_OPEN = 64  # source files open at a time: a model may have one for each tensor
_GATHER = 1 << 16  # smaller pieces are collected and written together
_THREADS = 4  # that compute and write: more wait for the memory
_BEHIND = 1 << 26  # bytes that may wait to be written: more would take too much memory
_NUMBERED = re.compile(r"/(?:dev|proc/[^/]+)/fd/\d+")  # what a process has open; /dev/stdout is a link to one
_NOT_HERE = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY})
_ADVICE = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EFBIG: "the file would be bigger than allowed here; choose another disk or raise the limit",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "choose a path in a folder",
    errno.EISDIR: "give the path of a file",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def unwritable(path: Path, error: OSError) -> ModelError:
    """What the user is told when the system refuses to write."""
    if error.errno == errno.ENOENT and path.parent.is_dir():  # /proc and its like: "no such file" of one that is to be made
        return ModelError(f"{path}: cannot be written: {path.parent} takes no new files; choose another folder")
    advice = f"; {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""
    return ModelError(f"{path}: cannot be written: {error.strerror or error}{advice}")


def refuse_unwritable(target: Path) -> None:
    """Raise ModelError when it is plain before any work that a file cannot be written. Nothing is touched."""
    try:
        place = target if is_special(target) else target.parent
        if not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, f"{place} is not writable")
    except OSError as error:
        raise unwritable(target, error) from error


@final
class Sink:
    """Writes to one open file. What lies in files is copied by the system, the rest is written piece by piece.

    Of tensors that are computed when asked for, some parts are written while others are computed. Close it whatever happens.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._gathered: list[bytes | memoryview] = []
        self._size = 0
        self._sources: dict[MappedFile, int | None] = {}
        self._writer: ThreadPoolExecutor | None = None
        self._behind: Future[None] | None = None
        self._scattered: deque[tuple[Parted, list[Future[int]]]] = deque()
        self.position = 0

    def write(self, piece: bytes | memoryview) -> None:
        """Add bytes."""
        self._gathered.append(piece)
        self._size += len(piece)
        self.position += len(piece)
        if self._size >= _GATHER:
            self._hand_over()

    def pad(self, alignment: int) -> None:
        """Add zeros up to a multiple of `alignment`."""
        self.write(bytes(-self.position % alignment))

    def copy(self, storage: Storage) -> None:
        """Add the bytes of a tensor. Raises ModelError when they are not to be had, or not as many as promised."""
        if isinstance(storage, FileSlice):
            source = self._source(storage.file)
            if storage.nbytes < _GATHER and source is not None and hasattr(os, "pread"):
                data = os.pread(source, storage.nbytes, storage.offset)  # the mapping would bring in megabytes around
                if len(data) == storage.nbytes:
                    self.write(data)
                    return
            self._hand_over()
            start = self.position
            if source is not None:
                self._transfer(storage, source)
            self._rest_of(storage, self.position - start)
            return
        if isinstance(storage, Parted) and self._can_scatter():
            self._scatter(storage)
            return
        view = storage.view()
        if len(view) != storage.nbytes:
            raise ModelError(f"a tensor promised {storage.nbytes} bytes and gave {len(view)}")
        if _GATHER <= len(view) <= _BEHIND:
            self._hand_over()
            self._write_behind(view)
            return
        self.write(view)
        self._hand_over()  # the view may keep much memory; it is dropped here

    def flush(self) -> None:
        """Hand everything to the system, and wait for what is being computed. Raises what went wrong with it."""
        self._hand_over()
        self._await_parts(0)

    def _hand_over(self) -> None:
        """Hand what was gathered to the system."""
        self._settle()
        pieces = self._gathered if self._size >= _CHUNK else [b"".join(self._gathered)]
        self._gathered, self._size = [], 0
        for piece in pieces:
            self._put(piece)

    def close(self) -> None:
        """Wait for what is being written, and close the files that were copied from; not the one that was written."""
        if self._writer is not None:
            self._writer.shutdown(cancel_futures=True)  # none is left, unless something went wrong
        self._close_sources()

    def _put(self, piece: bytes | memoryview) -> None:
        left = memoryview(piece)
        while left:
            left = left[os.write(self._descriptor, left[:_CHUNK]) :]

    def _can_scatter(self) -> bool:
        """Whether bytes can be written at any place: not to a pipe."""
        if not hasattr(os, "pwrite"):
            return False
        with suppress(OSError):
            os.lseek(self._descriptor, 0, os.SEEK_CUR)
            return True
        return False

    def _scatter(self, storage: Parted) -> None:
        """Let the parts of a tensor be computed and written to their places, several at once, while others follow."""
        self._hand_over()
        start = self.position
        parts = [self._threads().submit(self._put_at, start + offset, compute) for offset, compute in storage.parts()]
        self._scattered.append((storage, parts))
        self.position = start + storage.nbytes
        os.lseek(self._descriptor, self.position, os.SEEK_SET)
        self._await_parts(_BEHIND)

    def _put_at(self, place: int, compute: Callable[[], memoryview]) -> int:
        left = compute()
        size = len(left)
        while left:
            done = os.pwrite(self._descriptor, left, place)
            left, place = left[done:], place + done
        return size

    def _await_parts(self, most: int) -> None:
        """Wait until parts of no more than so many bytes are still to be written. Raises what went wrong with one."""
        while sum(storage.nbytes for storage, _ in self._scattered) > most:
            storage, parts = self._scattered.popleft()
            written = sum(part.result() for part in parts)
            storage.finish()
            if written != storage.nbytes:
                raise ModelError(f"a tensor promised {storage.nbytes} bytes and gave {written}")

    def _write_behind(self, view: memoryview) -> None:
        self._behind = self._threads().submit(self._put, view)
        self.position += len(view)

    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # most models are written without

        if self._writer is None:
            self._writer = ThreadPoolExecutor(max_workers=min(_THREADS, os.cpu_count() or 1))
        return self._writer

    def _settle(self) -> None:
        """Wait for what is being written. Raises what went wrong there."""
        behind, self._behind = self._behind, None
        if behind is not None:
            behind.result()

    def _close_sources(self) -> None:
        for descriptor in self._sources.values():
            if descriptor is not None:
                os.close(descriptor)
        self._sources.clear()

    def _source(self, file: MappedFile) -> int | None:
        """A descriptor to copy from; None when only the mapping is left."""
        if file not in self._sources:
            if len(self._sources) >= _OPEN:
                self._close_sources()
            self._sources[file] = file.reopen()
        return self._sources[file]

    def _transfer(self, storage: FileSlice, source: int) -> None:
        """Let the system copy as much as it will."""
        done = 0
        for copy in (_copy_file_range, _sendfile):
            try:
                while done < storage.nbytes:
                    count = copy(source, self._descriptor, storage.offset + done, storage.nbytes - done)
                    if not count:
                        return
                    done += count
                    self.position += count
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise

    def _rest_of(self, storage: FileSlice, done: int) -> None:
        """Write from the mapping what the system did not copy."""
        while done < storage.nbytes:
            count = min(_CHUNK, storage.nbytes - done)
            start = storage.offset + done
            self.write(storage.file.view()[start : start + count])
            self._hand_over()
            storage.file.release_pages(start, count)
            done += count


def _copy_file_range(source: int, target: int, offset: int, count: int) -> int:
    if not hasattr(os, "copy_file_range"):  # not Linux
        raise OSError(errno.ENOSYS, "no copy_file_range")
    return os.copy_file_range(source, target, count, offset)


def _sendfile(source: int, target: int, offset: int, count: int) -> int:
    if not hasattr(os, "sendfile"):
        raise OSError(errno.ENOSYS, "no sendfile")
    return os.sendfile(target, source, offset, count)


def write_text(target: Path, text: str) -> None:
    """Write a text file that appears complete or not at all. Raises ModelError when it cannot be written.

    Of a file name that is no UTF-8, bytes appear as JSON escapes them.
    """
    data = text.encode(errors="backslashreplace")
    try:
        if is_special(target):
            target.write_bytes(data)
            return
        with written_beside(target, is_synced=False) as (path, sink):
            sink.write(data)
        replace(path, target)
    except OSError as error:
        raise unwritable(target, error) from error


def is_special(target: Path) -> bool:
    """Whether the target is written to and never replaced: a pipe, a device, or what is open under a number, as /dev/stdout is.

    Raises OSError for a folder, or none around it.
    """
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if target.parent.exists() and not target.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{target.parent} is not a folder")
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {target.parent}")
    return target.exists() and (not target.is_file() or _is_open_under_a_number(target))


def _is_open_under_a_number(target: Path) -> bool:
    """Whether a path leads through the list of files that a process has open: replacing the link would take it from everybody."""
    path = target.absolute()
    while not (found := _NUMBERED.fullmatch(os.path.normpath(path))) and path.is_symlink():
        path = path.parent / path.readlink()
    return found is not None


def replace(path: Path, target: Path) -> None:
    """Put a finished file in the place of another, or remove it when that fails. Raises OSError."""
    try:
        path.replace(target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def written_beside(target: Path, *, is_synced: bool) -> Iterator[tuple[Path, Sink]]:
    """A new file in the folder of `target`, complete when the block ends; removed if the block raises.

    With `is_synced` it is on the disk by then: what is about to be replaced must not be lost to a power failure in between.
    The one who asks renames it. Until it is closed it is locked, so that `sweep` knows a dead one.
    """
    path, descriptor = _create(target)
    sink = Sink(descriptor)
    try:
        yield path, sink
        sink.flush()
        with suppress(FileNotFoundError):
            os.fchmod(descriptor, target.stat().st_mode & 0o777)
        if is_synced:
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        sink.close()
        os.close(descriptor)


def _create(target: Path) -> tuple[Path, int]:
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        if sys.platform == "win32":  # nothing to lock with, so nothing is ever swept away
            return path, descriptor
        with suppress(OSError):  # a file system without locks: nobody else can lock it either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # else another process swept it away before it was locked
            return path, descriptor
        os.close(descriptor)


def sweep(target: Path) -> None:
    """Remove what runs left beside `target` that were killed while they wrote."""
    if sys.platform == "win32":
        return
    for path in target.parent.glob(f".{_escaped(target.name)}.????????.tmp"):
        with suppress(OSError):  # it is gone, or not ours to look at; nothing depends on it
            descriptor = os.open(path, os.O_WRONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def publish(path: Path, names: Iterable[Path]) -> Path:
    """Give a finished file the first of these names that no file has, and say which."""
    for name in names:
        try:
            os.link(path, name)
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            if name.exists():
                continue
            path.rename(name)
            return name
        path.unlink()
        return name
    raise OSError(errno.EEXIST, "every name is taken")


def sync_folder(folder: Path) -> None:
    """Put renames on the disk, where the system can do that."""
    with suppress(OSError):  # Windows and some network file systems cannot; the rename itself was atomic
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Work done in processes of its own: a runtime may take the process with it, or never return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
PATIENCE = 300.0  # seconds for one job


class Lost(Exception):
    """The process died over a job, or took too long; the message says which, and what it noted last."""


_notes: list[Path] = []  # in a process that works: where notes go


def note(text: str) -> None:
    """Say what is about to be done, should the process be lost over it."""
    for path in _notes:
        path.write_text(text, encoding="utf-8")


@dataclass
class Worker(Generic[Job, Result]):
    """Does `work` on one job after the other, in a process that is made anew when it is lost."""

    work: Callable[[Job], Result]
    patience: float = PATIENCE
    _process: SpawnProcess | None = field(default=None, init=False)
    _door: Connection | None = field(default=None, init=False)
    _folder: TemporaryDirectory[str] = field(default_factory=TemporaryDirectory, init=False)

    @property
    def _noted(self) -> Path:
        return Path(self._folder.name) / "note"

    def do(self, job: Job) -> Result:
        """The result of one job. Raises Lost."""
        if self._process is None or self._door is None:
            context = get_context("spawn")
            self._door, inner = context.Pipe()
            self._process = context.Process(target=_serve, args=(inner, self.work, self._noted), daemon=True)
            self._process.start()
            inner.close()
        try:
            self._door.send(job)
            if not self._door.poll(self.patience):
                raise self._lost(f"nothing came back in {self.patience:.0f} seconds")
            result: Result = self._door.recv()
        except (EOFError, OSError):
            raise self._lost("the process died") from None
        return result

    def _lost(self, why: str) -> Lost:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._door = None
        noted = self._noted.read_text(encoding="utf-8") if self._noted.exists() else ""
        self._noted.unlink(missing_ok=True)
        return Lost(f"{why}\n{noted}".rstrip())

    def close(self) -> None:
        """End the process."""
        self._lost("")
        self._folder.cleanup()


def _serve(door: Connection, work: Callable[[Job], Result], noted: Path) -> None:
    _notes[:] = [noted]
    while True:
        try:
            job = door.recv()
        except EOFError:
            return
        door.send(work(job))


def _tried(worker: Worker[Job, Result], job: Job) -> Result | Lost:
    """The result of a job; a process that is lost once may have died of something else."""
    try:
        return worker.do(job)
    except Lost:
        pass
    try:
        return worker.do(job)
    except Lost as lost:
        return lost


def each(work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[tuple[Job, Result | Lost]]:
    """Every job with its result, or with what became of the process over it."""
    worker = Worker(work)
    try:
        for job in jobs:
            found: Result | Lost = _tried(worker, job)
            yield job, found
    finally:
        worker.close()

"""A user's own judge: a shell command that gets the path of a model and says with its exit status what it thinks of it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from graphopt.errors import SpecError

PLACE: Final = "{}"
CANNOT_TELL: Final = 125  # as git bisect run has it: this one cannot be judged
NOT_FOUND: Final = {126: "the shell may not run it", 127: "the shell finds no such command"}
TAIL: Final = 5  # lines of output that are quoted
_NAMES: Final = {int(known): known.name for known in signal.Signals}


@final
@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its exit status (negative: the signal that ended it; None: its time was up) and all that it printed."""

    status: int | None
    output: str

    def __str__(self) -> str:
        if self.status is None:
            said = "its time was up"
        elif self.status < 0:
            said = f"it was ended by {_NAMES.get(-self.status, f'signal {-self.status}')}"
        else:
            said = f"exit status {self.status}"
        return f"{said} ({NOT_FOUND[self.status]})" if self.status in NOT_FOUND else said

    @property
    def tail(self) -> list[str]:
        """The last lines of what it printed."""
        return self.output.rstrip().splitlines()[-TAIL:]


@final
@dataclass(frozen=True, slots=True)
class Command:
    """A shell command. The model's path stands where it says `{}`, or else at its end.

    `seconds` is how long it may take; then it and all that it started are ended. Raises SpecError when it is empty.
    """

    text: str
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise SpecError("the command is empty; give one that takes the path of a model, as 'python check.py {}'")

    def line(self, path: str) -> str:
        """What the shell gets to see.

        >>> Command("check {} | grep -q ok").line("a b.onnx"), Command("check").line("m.onnx")
        ("check 'a b.onnx' | grep -q ok", 'check m.onnx')
        """
        quoted = shlex.quote(path) if os.name == "posix" else subprocess.list2cmdline([path])
        return self.text.replace(PLACE, quoted) if PLACE in self.text else f"{self.text} {quoted}"

    def run(self, path: Path) -> Ran:
        """Run it on a model. It reads nothing from the terminal, and what it prints is kept from it."""
        with tempfile.TemporaryFile() as printed:
            process = subprocess.Popen(
                self.line(str(path)), shell=True, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                status: int | None = process.wait(self.seconds)
            except subprocess.TimeoutExpired:
                _end(process)
                status = None
            except BaseException:  # somebody presses Ctrl-C: what was started must not go on
                _end(process)
                raise
            printed.seek(0)
            return Ran(without_shell(status), printed.read().decode(errors="replace"))


def refuse_useless(command: Command, first: Ran) -> None:
    """Raise SpecError for a command that judges nothing: it cannot be run, or cannot tell of the very first model, or takes too long."""
    if first.status in NOT_FOUND or first.status in (CANNOT_TELL, None):
        advice = "; give it more --timeout" if first.status is None else ""
        said = "".join(f"\n  | {line}" for line in first.tail)
        raise SpecError(f"the command {command.text!r} does not judge the model: {first}{advice}{said}")


def without_shell(status: int | None) -> int | None:
    """An exit status as the command itself had it: a shell says 128 + N of what it ran that was ended by the signal N, here it is -N."""
    return 128 - status if status is not None and 128 < status < 128 + signal.NSIG else status


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    with suppress(ProcessLookupError):  # it ended by itself in between
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()

"""What counts as the failure that a reduction keeps: a command that fails on a model, which must be as valid as the first one was."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import final

import onnx.checker
import onnx.shape_inference
from onnx import ModelProto

from graphopt.errors import SpecError
from graphopt.verify.commands import CANNOT_TELL, Command, Ran, without_shell
from graphopt.verify.skeleton import Skeleton


@final
@dataclass(frozen=True, slots=True)
class Wanted:
    """How a command must end for the model to be interesting.

    By default with any exit status but 0 and 125. `status` insists on one, -N or 128 + N for a signal N; `says` is a regular expression
    that its output must match somewhere; with `timeouts` it may also take too long.
    """

    status: int | None = None
    says: str = ""
    timeouts: bool = False

    def __post_init__(self) -> None:
        try:
            re.compile(self.says)
        except re.error as error:
            raise SpecError(f"{self.says!r} is no regular expression: {error}") from error

    def __str__(self) -> str:
        ends = f"exit status {self.status}" if self.status is not None else "an exit status other than 0"
        return f"{ends}, and output that matches {self.says!r}" if self.says else ends

    def by(self, ran: Ran) -> bool:
        """Whether a command ended so."""
        if ran.status is None:
            return self.timeouts
        is_status = ran.status == without_shell(self.status) if self.status is not None else ran.status not in (0, CANNOT_TELL)
        return is_status and re.search(self.says, ran.output) is not None


@final
class Validity:
    """How valid a skeleton's model is, as far as the checker of onnx can tell; what is made of it must be no less."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.level = next((level for level in (2, 1) if self._passes(skeleton.message, level)), 0)

    def holds(self, message: ModelProto) -> bool:
        """Whether a model is as valid as the first one."""
        return not self.level or self._passes(message, self.level)

    def _passes(self, message: ModelProto, level: int) -> bool:
        try:
            onnx.checker.check_model(self.skeleton.without_weights(message), full_check=level > 1)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, RuntimeError):
            return False
        return True


@final
class CommandFails:
    """Asks a command about models made of a skeleton, each written to a file of the same name. `last` is how it ended last."""

    def __init__(self, skeleton: Skeleton, command: Command, wanted: Wanted, name: str) -> None:
        self.skeleton, self.command, self.wanted, self.name = skeleton, command, wanted, name
        self.validity = Validity(skeleton)
        self.last: Ran | None = None
        self.seen: Ran | None = None

    def __call__(self, message: ModelProto) -> bool:
        if not self.validity.holds(message):
            return False
        with tempfile.TemporaryDirectory(prefix="graphopt-reduce-") as folder:
            path = Path(folder) / self.name
            self.skeleton.write(message, path)
            self.last = self.command.run(path)
        if self.wanted.by(self.last):
            self.seen = self.last
            return True
        return False

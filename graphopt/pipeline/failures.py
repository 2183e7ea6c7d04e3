"""How a job fails on a model: its result computes something else, a pass breaks, or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from graphopt.errors import GraphoptError, InternalError, SpecError
from graphopt.match.rule import RuleError
from graphopt.pipeline.blame import Running
from graphopt.pipeline.job import Job
from graphopt.verify.comparison import Options, Original
from graphopt.verify.failing import Validity
from graphopt.verify.skeleton import Skeleton

QUICK = Options(seeds=1, special=False)
CHEAP = 1 << 24  # bytes of a model up to which an accusation is doubted every time: that takes copies of it


@final
@dataclass(frozen=True, slots=True)
class Failure:
    """A failure; two are of one kind when their `kind` is equal. `told` says all of it."""

    kind: str
    told: str


@final
class Failing:
    """Finds out how jobs fail on models in files. `job_for` makes the job of a file.

    The first one decides whether one ordinary feed is enough to see it, which is quicker.
    """

    def __init__(self, job_for: Callable[[Path], Job]) -> None:
        self.job_for = job_for
        self.options = Options()

    def first(self, path: Path) -> Failure | None:
        """How the job fails on the model that it is all about; None when it does not."""
        found = self.of(path)
        self.options = QUICK
        quick = None if found is None else self.of(path)
        if found is not None and (quick is None or quick.kind != found.kind):
            self.options = Options()
        return found

    def of(self, path: Path) -> Failure | None:
        """How the job fails on a model; None when it does not, or cannot do anything with it."""
        running = Running()
        job = self.job_for(path)
        try:
            model = job.again(running)
        except (InternalError, RuleError) as error:
            return Failure(f"{type(error).__name__} {running.name}", f"graphopt breaks: {error}")
        except SpecError:
            raise  # the caller's words are no better on another model
        except GraphoptError:
            return None
        is_cheap = self.options is not QUICK or path.stat().st_size <= CHEAP
        found = Original(path, self.options if is_cheap else replace(QUICK, doubts=False)).compare(model)
        if not found.differs:
            return None
        found.before = path.name
        kind = "it cannot be run" if found.failure else "another signature" if found.signature else "other outputs"
        return Failure(kind, str(found))


@final
class FailsAlike:
    """Whether the job fails on models made of a skeleton as it does on the first one. `seen` is the last such failure."""

    def __init__(self, skeleton: Skeleton, failing: Failing, first: Failure, name: str) -> None:
        self.skeleton, self.failing, self.first, self.name = skeleton, failing, first, name
        self.validity = Validity(skeleton)
        self.seen = first

    def __call__(self, message: Any) -> bool:  # Any: a ModelProto, which the pipeline does not know
        if not self.validity.holds(message):
            return False
        with tempfile.TemporaryDirectory(prefix="graphopt-reduce-") as folder:
            path = Path(folder) / self.name
            self.skeleton.write(message, path)
            found = self.failing.of(path)
        if found is None or found.kind != self.first.kind:
            return False
        self.seen = found
        return True

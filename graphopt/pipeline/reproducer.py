"""A run that fails, as one file: the model it began with, and in the model's metadata what was asked for, as JSON under KEY.

`onnx-opt --run-reproducer FILE` does it again. The fields of the JSON:

schema                        1
pipeline                      its text; levels have their targets in it
plugins                       what --plugin was given, files with their whole path
only, skip                    names of passes
freeze, input_shapes          as `graphopt.optimize` takes them
initializers_are_constants, verify, verify_each
                              true or false
bisect_limit                  how many rewrites were allowed; null: all
versions                      of Python and of the packages that matter
error                         the failure: kind (the class of the exception), message (its first line)
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, final

from graphopt import io, suffixes
from graphopt.errors import GraphoptError, ModelError, SpecError
from graphopt.infer.freeze import Wishes
from graphopt.io.about import about
from graphopt.io.descriptions import set_metadata
from graphopt.io.files import write_text
from graphopt.ir.model import Model
from graphopt.pipeline.discovery import from_anywhere
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import Registry, with_plugins

if TYPE_CHECKING:
    from graphopt.pipeline.job import Job

KEY = "graphopt.reproducer"
SCHEMA = 1  # raised whenever a field changes its meaning or goes
PACKAGES = ("graphopt", "onnx", "numpy", "onnxruntime")
UNWRITTEN = "; nothing was written"  # at the end of an error's sentence, for a run that has an output


@final
@dataclass(frozen=True, slots=True)
class Reproducer:
    """What was asked for, and how it failed; the fields are those of the JSON."""

    pipeline: str
    plugins: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    freeze: Mapping[str, int] = field(default_factory=dict)
    input_shapes: Mapping[str, tuple[int | str | None, ...]] = field(default_factory=dict)
    initializers_are_constants: bool = False
    verify: bool = False
    verify_each: bool = False
    bisect_limit: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA

    @classmethod
    def of(cls, job: Job, error: Exception) -> Reproducer:
        """What a job was asked for, and the error that it ended with."""
        return cls(
            str(job.pipeline),
            tuple(map(from_anywhere, job.registry.named)),
            tuple(job.only),
            tuple(job.skip),
            dict(job.wishes.sizes),
            dict(job.wishes.shapes),
            job.initializers_are_constants,
            job.verify,
            job.verify_each,
            job.bisect_limit,
            versions(),
            {"kind": type(error).__name__, "message": first_line(error)},
        )

    @classmethod
    def read(cls, model: Model) -> Reproducer:
        """What a model's metadata say. Raises ModelError when they say nothing, or not what this version understands."""
        told = dict(about(model).metadata)
        name = about(model).name
        if KEY not in told:
            raise ModelError(f"{name}: is no reproducer: its metadata have no {KEY}, which `--reproducer FILE` writes when a run fails")
        try:
            fields = json.loads(told[KEY])
            if fields["schema"] != SCHEMA:
                raise ModelError(f"{name}: is a reproducer of another version of graphopt: schema {fields['schema']}, known is {SCHEMA}")
            names = {key: tuple(fields[key]) for key in ("plugins", "only", "skip")}
            shapes = {name: tuple(shape) for name, shape in fields["input_shapes"].items()}
            return cls(**{**fields, **names, "input_shapes": shapes})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{name}: its metadata {KEY} are not what `--reproducer FILE` writes: {error!r}") from error

    def job(self, source: object, registry: Registry | None = None) -> Job:
        """The same work over a model. Raises SpecError when a plug-in or a pass is not there."""
        from graphopt.pipeline.job import Job  # writes reproducers

        known = with_plugins(self.plugins) if registry is None else registry
        return Job(
            source,
            Pipeline.parse(self.pipeline, known),
            known,
            only=self.only,
            skip=self.skip,
            initializers_are_constants=self.initializers_are_constants,
            wishes=Wishes.of(self.freeze, self.input_shapes),
            verify=self.verify,
            verify_each=self.verify_each,
            bisect_limit=self.bisect_limit,
        )

    def other_versions(self) -> list[str]:
        """What is of another version here than where it was written, as "onnx 1.19.0, written with 1.20.0"."""
        here = versions()
        others = {name: told for name, told in self.versions.items() if here.get(name) != told}
        return [f"{name} {here.get(name, 'is missing')}, written with {told}" for name, told in others.items()]

    def is_same_failure(self, error: Exception) -> bool:
        """Whether a run failed as the first one did."""
        return self.error == {"kind": type(error).__name__, "message": first_line(error)}

    def write(self, model: Model, path: Path) -> None:
        """Write a model as one file, with this in its metadata from now on.

        A path that ends as models in text do gets text, unless text cannot hold the model's weights: then it is a binary file all the same.
        A model of 2 GiB and more has its weights in a data file. Raises ModelError when nothing can be written.
        """
        set_metadata(model, KEY, json.dumps(asdict(self), ensure_ascii=False))
        if path.suffix in suffixes.TEXT:
            text = io.print_text(model)
            if _holds(text, model):
                write_text(path, text.rstrip("\n") + "\n")
                return
        try:
            io.save(model, path, external_data=False)
        except ModelError:  # too big for one file; when that is not it, this fails as well
            io.save(model, path)


def can_be_read(pipeline: Pipeline, registry: Registry) -> bool:
    """Whether the text of a pipeline says it: passes that a program made itself have no names that another process knows."""
    try:
        return Pipeline.parse(str(pipeline), registry) == pipeline
    except SpecError:
        return False


def versions() -> dict[str, str]:
    """Which versions run here; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def first_line(error: Exception) -> str:
    """The sentence of an error, without advice, and whether or not there was something to write."""
    return str(error).partition("\n")[0].removesuffix(UNWRITTEN)


def _holds(text: str, model: Model) -> bool:
    try:
        return io.to_proto(io.parse_text(text)).graph == io.to_proto(model).graph
    except GraphoptError:
        return False

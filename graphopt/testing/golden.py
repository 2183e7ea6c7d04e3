"""Golden files: models as text, and what must be there after some passes, as comments in between."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from graphopt.errors import ModelError, SpecError
from graphopt.io.text import split_text, text_of
from graphopt.match.rule import Rule
from graphopt.pipeline.base import Pass
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import with_plugins
from graphopt.testing.missing import missing
from graphopt.testing.rules import why_not
from graphopt.testing.running import Plugins, optimized

RUN = re.compile(r"^# RUN: onnx-opt %s (.*) \| filecheck %s$", re.MULTILINE)
WHY = re.compile(r"^\s*# WHY ([\w-]+(?:\{[^}]*\})?): (.*)$", re.MULTILINE)
MEANT = re.compile(r"^[ \t]*#[ \t]*(RUN|WHY)\b.*$", re.MULTILINE)  # what is most likely not just a comment
FORM = "# RUN: onnx-opt %s -p PIPELINE | filecheck %s"


def check_golden(path: str | os.PathLike[str], *, plugins: Plugins = ()) -> None:
    """Run a golden file; raise AssertionError with the first line that is not found, and with all that came out.

        # RUN: onnx-opt %s -p fuse-matmul-add | filecheck %s
        <ir_version: 10, opset_import: ["" : 20]>
        # CHECK-LABEL: bias (
        bias (float[4,5] x, float[5,3] w, float[3] c) => (float[4,3] y) {
           # CHECK-NOT: MatMul
           # CHECK: y = Gemm (x, w, c)
           t = MatMul(x, w)
           y = Add(t, c)
        }
        # -----
        # WHY matmul-add-to-gemm: x must have rank 2
        ...

    It is what the RUN line does in a shell, in this process: the passes run over every model (`# -----` stands between them; one without
    a header <...> has that of the first), the results are printed, and the package filecheck looks for what the CHECK lines say. Each
    result is checked by onnx.checker as well. `# WHY name: reason` says of the model where it stands why a rule does not apply, or what a
    pass says; a part of the reason will do. `plugins` are objects, or what `Plugin.load` takes; a RUN line may name more with --plugin.

    Raises ImportError when filecheck is missing, SpecError for a RUN line that says something else, ModelError for a model.
    """
    golden = Golden.read(path)
    given = [*plugins, *golden.plugins]
    results = [text_of(optimized(text, golden.pipeline, plugins=given)) for text in golden.models]
    _check(golden.file, "\n".join(results))
    registry = with_plugins(given)
    for text in golden.models:
        for name, reason in WHY.findall(text):
            what = registry.rule_named(name) if name in registry.rules() else Pipeline.parse(name, registry).steps[0]
            if not isinstance(what, (Rule, Pass)):
                raise SpecError(f"{golden.file}: # WHY {name}: names neither a rule nor a pass")
            said = why_not(what, text)
            if reason not in said:
                raise AssertionError(f"{golden.file}: {name} should say {reason!r}; it says {said!r} of\n{text}")


@dataclass(frozen=True, slots=True)
class Golden:
    """A golden file as it is read: what runs, over which models, each a text."""

    file: Path
    pipeline: str
    plugins: tuple[str, ...]
    models: tuple[str, ...]

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Golden:
        """Read one. Raises SpecError when its RUN line is not understood, ModelError when it cannot be read."""
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{file}: cannot be read: {error}") from error
        run = RUN.search(text)
        if run is None:
            raise SpecError(f"{file}: has no line that says what to run: {FORM}")
        _check_lines(file, text)
        pipeline, plugins, words = None, [], iter(shlex.split(run[1]))
        for word in words:
            name, _, value = word.partition("=")
            if name in ("-p", "--pipeline", "--pass-pipeline"):
                pipeline = value or next(words, None)
            elif name == "--plugin":
                plugins.append(value or next(words, ""))
            elif name != "--split-input-file":
                raise SpecError(f"{file}: {word} in the RUN line is not understood; write {FORM}, with --plugin where one is needed")
        if pipeline is None:
            raise SpecError(f"{file}: the RUN line names no passes; write {FORM}")
        return Golden(file, pipeline, tuple(plugins), tuple(split_text(text)))


def _check_lines(file: Path, text: str) -> None:
    """A line that would not be looked at must not look as if it were. Raises SpecError."""
    if len(RUN.findall(text)) > 1:
        raise SpecError(f"{file}: has several RUN lines, one is run: split the file")
    for line in MEANT.finditer(text):
        if not (RUN if line[1] == "RUN" else WHY).fullmatch(line[0]):
            form = FORM if line[1] == "RUN" else "# WHY NAME: REASON"
            raise SpecError(f"{file}:{text.count(chr(10), 0, line.start()) + 1}: {line[0].strip()!r} is not understood; write {form}")


def _check(file: Path, result: str) -> None:
    """Let filecheck compare."""
    try:
        from filecheck.finput import FInput
        from filecheck.matcher import Matcher
        from filecheck.options import Options
        from filecheck.parser import Parser
    except ImportError as error:
        raise missing("check_golden", "filecheck") from error
    options = Options(str(file), str(file))
    matcher = Matcher(options, FInput("result", result), Parser.from_opts(options))
    matcher.stderr = StringIO()
    if matcher.run():
        raise AssertionError(f"{matcher.stderr.getvalue()}\n{result}")

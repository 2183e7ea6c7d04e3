"""Pipelines as objects and as text; each prints as the other.

    level1, -fuse-conv-bn, fixpoint(fold-constants{max-growth=1MiB}, eliminate-dead-nodes), fuse-matmul-add
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias, final

from graphopt.errors import SpecError, nearest
from graphopt.pipeline.base import Level, Pass
from graphopt.pipeline.options import make
from graphopt.pipeline.other_names import OtherName
from graphopt.pipeline.registry import Registry, installed
from graphopt.pipeline.words import Given, Source, Word

ROUNDS = 20  # of a fixpoint or a level, unless it says otherwise


@final
@dataclass(frozen=True, slots=True)
class Fixpoint:
    """Steps that run again and again until none of them changes anything. More than `limit` rounds are an error that names the passes."""

    steps: tuple[Step, ...]
    limit: int = ROUNDS

    def __str__(self) -> str:
        limit = f"{{limit={self.limit}}}" if self.limit != ROUNDS else ""
        return f"fixpoint{limit}({', '.join(map(str, self.steps))})"


@final
@dataclass(frozen=True, slots=True)
class LevelStep:
    """All passes of one level, in its order, again until none of them changes anything. Above level 1 `target` says which passes."""

    level: int
    target: str = ""

    def __str__(self) -> str:
        return f"level{self.level:d}{{target={self.target}}}" if self.target else f"level{self.level:d}"


@final
@dataclass(frozen=True, slots=True)
class Skip:
    """Leaves a pass out of the levels before it."""

    name: str

    def __str__(self) -> str:
        return f"-{self.name}"


Step: TypeAlias = "Pass | Fixpoint | LevelStep | Skip"


@final
@dataclass(frozen=True, slots=True, init=False)
class Pipeline:
    """Passes in the order in which they run.

    `Pipeline([FuseMatMulAdd(), Fixpoint(...), "level1"])`: a step that is a text is parsed. `str(pipeline)` parses back to an equal
    pipeline, provided that its passes are registered.
    """

    steps: tuple[Step, ...]

    def __init__(self, steps: Iterable[Step | str] = ()) -> None:
        flat: list[Step] = []
        for step in steps:
            if isinstance(step, str):
                flat += Pipeline.parse(step).steps
            elif isinstance(step, (Pass, Fixpoint, LevelStep, Skip)):
                flat.append(step)
            else:
                hint = "; make one of it: add ()" if isinstance(step, type) and issubclass(step, Pass) else ""
                raise SpecError(f"{step!r} is no step of a pipeline{hint}")
        object.__setattr__(self, "steps", tuple(flat))

    @classmethod
    def of_levels(cls, level: int | None = None, target: str | None = None, registry: Registry | None = None) -> Pipeline:
        """The levels 1 to `level`: to 2 when None and there is a target, otherwise level 1.

        Raises SpecError when there is no such level or target, or only one of the two where both are needed.
        """
        if level is None:
            level = int(Level.BASIC if target is None else Level.EXTENDED)
        levels = [int(known) for known in Level if known > 0]
        if isinstance(level, bool) or level not in (0, *levels):
            raise SpecError(f"there is no level {level!r}; known: {', '.join(map(str, levels))}, and 0 for no optimization at all")
        if (target is not None or level > Level.BASIC) and (why := _mismatch(level, target, registry or installed())):
            raise SpecError(why)
        return cls([LevelStep(number, (target or "") if number > Level.BASIC else "") for number in levels if number <= level])

    @classmethod
    def parse(cls, text: str, registry: Registry | None = None) -> Pipeline:
        """Read a pipeline. Raises SpecError that points at the place and suggests the near name."""
        return cls(_Parser(Source(text), registry if registry is not None else installed()).pipeline())

    def at_opset(self, opset: int | None, registry: Registry | None = None) -> Pipeline:
        """The same steps, after the model was written for an opset of the default domain; itself when None. Raises SpecError."""
        if opset is None:
            return self
        return Pipeline([*Pipeline.parse(f"convert-opset{{to={opset}}}", registry).steps, *self.steps])

    def __str__(self) -> str:
        return ", ".join(map(str, self.steps))


@final
class _Parser:
    """step {"," step}, where a step is  name[{options}] | fixpoint[{limit=n}](steps) | levelN[{target=name}] | -name.

    The name of another tool stands for our passes that do the same.
    """

    def __init__(self, source: Source, registry: Registry) -> None:
        self.source, self.registry = source, registry

    def pipeline(self) -> list[Step]:
        steps = self.steps("")
        if not self.source.is_done:
            self.source.expect(",")
        return steps

    def steps(self, end: str) -> list[Step]:
        steps: list[Step] = []
        while not self.source.is_done and self.source.peek() != (end or None):
            steps += self.step(steps)
            if not self.source.skip(","):
                break
        return steps

    def step(self, before: list[Step]) -> list[Step]:
        word = self.source.take("a pass, a level or fixpoint(...)")
        name = word.text
        if name == "fixpoint":
            return [self.fixpoint()]
        if (level := re.fullmatch(r"level(\d+)", name, re.ASCII)) is not None:
            return [self.level(int(level[1]), word)]
        if name.startswith("-"):
            return self.skip(name[1:], word, before)
        given = self.options() if self.source.peek() == "{" else []
        found = self.registry.find(name)
        if found is not None:
            return [make(found, given, self.source, word.at)]
        if name in self.registry.passes:
            raise self.source.error(_reason(self.registry, name), word.at)
        if (other := self.registry.other_name(name)) is not None:
            return self.translated(other, given, word)
        single = self.registry.single(name)
        if single is None:
            known = {*self.registry.passes, *self.registry.rules(), *self.registry.other_names(), "fixpoint", "level1", "level2"}
            raise self.source.error(f"no pass is called {name!r}{nearest(name, known)}", word.at)
        return [make(type(single), given, self.source, word.at)]

    def translated(self, other: OtherName, given: list[Given], word: Word) -> list[Step]:
        if not other.is_built:
            raise self.source.error(str(other), word.at)
        if given:
            raise self.source.error(f"{other}; options go to a pass by its own name", given[0][0].at)
        return [step for name in other.passes for step in _Parser(Source(name), self.registry).pipeline()]

    def fixpoint(self) -> Fixpoint:
        limit = ROUNDS
        if self.source.peek() == "{":
            for key, value in self.options():
                if key.text != "limit":
                    raise self.source.error(f"fixpoint has no option {key.text!r}{nearest(key.text, ['limit'])}", key.at)
                if not (isinstance(value, Word) and re.fullmatch(r"[1-9]\d*", value.text, re.ASCII)):
                    raise self.source.error(f"fixpoint{{limit}} takes a whole number of rounds, 1 or more (default: {ROUNDS})", key.at)
                limit = int(value.text)
        self.source.expect("(")
        steps = self.steps(")")
        self.source.expect(")")
        return Fixpoint(tuple(steps), limit)

    def level(self, number: int, word: Word) -> LevelStep:
        if number not in list(Level):
            raise self.source.error(f"there is no {word.text}; known: {', '.join(f'level{int(level)}' for level in Level)}", word.at)
        target, at = None, word.at
        for key, value in self.options() if self.source.peek() == "{" else []:
            if key.text != "target":
                raise self.source.error(f"{word.text} has no option {key.text!r}{nearest(key.text, ['target'])}", key.at)
            if not isinstance(value, Word):
                raise self.source.error(f"{word.text}{{target}} takes the name of a target: {_listed(self.registry)}", key.at)
            target, at = value.text, value.at
        if (target is not None or number > Level.BASIC) and (why := _mismatch(number, target, self.registry)):
            raise self.source.error(why, at)
        return LevelStep(number, target or "")

    def skip(self, name: str, word: Word, before: list[Step]) -> list[Step]:
        if name not in self.registry.passes and self.registry.other_name(name) is None:
            known = {*self.registry.passes, *self.registry.other_names()}
            raise self.source.error(f"no pass is called {name!r}{nearest(name, known)}", word.at + 1)
        if not _has_level(before):
            raise self.source.error(f"no level stands before -{name} for it to be left out of", word.at)
        return [Skip(each) for each in self.registry.in_our_words([name])]

    def options(self) -> list[Given]:
        """{key key=value key=[value, value]}, separated by blanks or commas."""
        given: list[Given] = []
        self.source.expect("{")
        while not self.source.skip("}"):
            key = self.source.take("an option or '}'")
            value = self.value() if self.source.skip("=") else None
            given.append((key, value))
            self.source.skip(",")
        return given

    def value(self) -> Word | list[Word]:
        if not self.source.skip("["):
            return self.source.take("a value")
        words: list[Word] = []
        while not self.source.skip("]"):
            words.append(self.source.take("a value or ']'"))
            self.source.skip(",")
        return words


def _has_level(steps: Iterable[Step]) -> bool:
    return any(isinstance(step, LevelStep) or (isinstance(step, Fixpoint) and _has_level(step.steps)) for step in steps)


def _mismatch(level: int, target: str | None, registry: Registry) -> str:
    """Why a level does not go with a target, or with none; empty when it does."""
    if target is None:
        return f"level {level} needs a target, as level{level}{{target=NAME}} or --target NAME; known: {_listed(registry)}"
    if level <= Level.BASIC:
        return f"level {level} is the same for every target: leave the target {target!r} out, or ask for level {int(Level.EXTENDED)}"
    if target not in registry.targets:
        return f"no target is called {target!r}{nearest(target, registry.targets)}"
    return ""


def _listed(registry: Registry) -> str:
    return ", ".join(registry.targets) or "none"


def _reason(registry: Registry, name: str) -> str:
    try:
        registry.pass_named(name)
    except SpecError as error:
        return str(error)
    return name

"""Pipelines as objects and as text; each prints as the other.

    level1, -fuse-conv-bn, fixpoint(fold-constants{max-growth=1MiB}, eliminate-dead-nodes), when{target=tensorrt}(fuse-matmul-add)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from graphopt.errors import SpecError, nearest
from graphopt.pipeline.base import Level, Pass
from graphopt.pipeline.options import make
from graphopt.pipeline.other_names import OtherName
from graphopt.pipeline.registry import Registry, installed
from graphopt.pipeline.words import Given, Source, Word

ROUNDS = 20  # of a fixpoint or a level, unless it says otherwise
CONDITIONS = ("target", "not-target")
WORDS = ("fixpoint", "when", "level1", "level2")  # of a pipeline, that are no passes


@final
@dataclass(frozen=True, slots=True, init=False)
class Fixpoint:
    """Steps that run again and again until none of them changes anything. More than `limit` rounds are an error that names the passes.

    `Fixpoint([FoldConstants(), "eliminate-dead-nodes"])`: a step that is a text is parsed. A level is a fixpoint already; this is for what
    is named beside it. A step that would see what it saw when it last changed nothing is not run again, so the last round costs little.
    """

    steps: tuple[Step, ...]
    limit: int

    def __init__(self, steps: Iterable[Step | str], limit: int = ROUNDS) -> None:
        object.__setattr__(self, "steps", tuple(_flat(steps)))
        object.__setattr__(self, "limit", limit)

    def __str__(self) -> str:
        limit = f"{{limit={self.limit}}}" if self.limit != ROUNDS else ""
        return f"fixpoint{limit}({', '.join(map(str, self.steps))})"


@final
@dataclass(frozen=True, slots=True, init=False)
class When:
    """Steps that run only when the model is prepared for a certain target: one of `target`, or one that is none of `not_target`.

    `When(["level2", FuseMatMulAdd()], target="tensorrt")`. `optimize(pipeline=..., target=...)`, `--target` and `Pipeline.for_target`
    say which target it is. Where nothing says it the steps do not run, whatever the condition. Within the steps a level above 1
    without a target is that of the target.

    Raises SpecError when neither is given, or both.
    """

    steps: tuple[Step, ...]
    target: tuple[str, ...]
    not_target: tuple[str, ...]

    def __init__(self, steps: Iterable[Step | str], *, target: str | Iterable[str] = (), not_target: str | Iterable[str] = ()) -> None:
        wanted, unwanted = _names(target), _names(not_target)
        if bool(wanted) == bool(unwanted):
            raise SpecError(f"When needs the names of targets, as target or as not_target{', not both' if wanted else ''}")
        object.__setattr__(self, "steps", tuple(_flat(steps)))
        object.__setattr__(self, "target", wanted)
        object.__setattr__(self, "not_target", unwanted)

    def holds(self, target: str) -> bool:
        """Whether the steps run for a target."""
        return target in self.target if self.target else target not in self.not_target

    def __str__(self) -> str:
        key, names = ("target", self.target) if self.target else ("not-target", self.not_target)
        shown = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
        return f"when{{{key}={shown}}}({', '.join(map(str, self.steps))})"


@final
@dataclass(frozen=True, slots=True)
class LevelStep:
    """All passes of one level, in its order, again until none of them changes anything.

    Above level 1 `target` says which passes; empty it is the target that the pipeline is for.
    """

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


Step: TypeAlias = "Pass | Fixpoint | When | LevelStep | Skip"


@final
@dataclass(frozen=True, slots=True, init=False)
class Pipeline:
    """Passes in the order in which they run.

    `Pipeline([FuseMatMulAdd(), Fixpoint(...), "level1"])`: a step that is a text is parsed. `str(pipeline)` parses back to an equal
    pipeline, provided that its passes are registered and its levels have their targets.
    """

    steps: tuple[Step, ...]

    def __init__(self, steps: Iterable[Step | str] = ()) -> None:
        object.__setattr__(self, "steps", tuple(_flat(steps)))

    @classmethod
    def of(
        cls, pipeline: Pipeline | str | None = None, level: int | None = None, target: str | None = None, registry: Registry | None = None
    ) -> Pipeline:
        """What runs: a pipeline, as object or as text, or the levels 1 to `level`; for a target if one is given.

        Raises SpecError as `parse`, `of_levels` and `for_target` do, and for what is no pipeline.
        """
        if pipeline is None:
            return cls.of_levels(level, target, registry)
        if isinstance(pipeline, str):
            return cls.parse(pipeline, registry, target=target)
        if isinstance(pipeline, Pipeline):
            return pipeline.for_target(target, registry)
        raise SpecError(f"pipeline must be a Pipeline or its text, not {pipeline!r}; write Pipeline([...])")

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
    def parse(cls, text: str, registry: Registry | None = None, *, target: str | None = None) -> Pipeline:
        """Read a pipeline, for a target if one is given. Raises SpecError that points at the place and suggests the near name."""
        known = registry if registry is not None else installed()
        return cls(_Parser(Source(text), known, has_target=target is not None).pipeline()).for_target(target, known)

    def for_target(self, target: str | None, registry: Registry | None = None) -> Pipeline:
        """The pipeline for one target: each `When` replaced by its steps or left out, levels without a target are the target's.

        Itself when None. What comes out prints as a text that needs no target beside it. Raises SpecError for unknown targets.
        """
        if target is None:
            return self
        known = registry if registry is not None else installed()
        _check_targets([target], known)
        return Pipeline(_bound(self.steps, target, known, []))

    def at_opset(self, opset: int | None, registry: Registry | None = None) -> Pipeline:
        """The same steps, after the model was written for an opset of the default domain; itself when None. Raises SpecError."""
        if opset is None:
            return self
        return Pipeline([*Pipeline.parse(f"convert-opset{{to={opset}}}", registry).steps, *self.steps])

    def __str__(self) -> str:
        return ", ".join(map(str, self.steps))


@final
class _Parser:
    """step {"," step}, where a step is  name[{options}] | fixpoint[{limit=n}](steps) | when{condition}(steps) | level | -name.

    A level is  levelN[{target=name}],  a condition  target=names | not-target=names,  where names are  name | [name, name]. The name of
    another tool stands for our passes that do the same. `has_target`: the pipeline is for a target, which levels need not name then.
    """

    def __init__(self, source: Source, registry: Registry, *, has_target: bool = False) -> None:
        self.source, self.registry, self.has_target = source, registry, has_target

    def pipeline(self) -> list[Step]:
        steps = self.steps("", [])
        if not self.source.is_done:
            self.source.expect(",")
        return steps

    def steps(self, end: str, before: list[Step]) -> list[Step]:
        """Steps up to a sign; `before` are those that stand before them, from whose levels they may leave passes out."""
        steps: list[Step] = []
        while not self.source.is_done and self.source.peek() != (end or None):
            steps += self.step([*before, *steps])
            if not self.source.skip(","):
                break
        return steps

    def step(self, before: list[Step]) -> list[Step]:
        word = self.source.take("a pass, a level, fixpoint(...) or when{...}(...)")
        name = word.text
        if name == "fixpoint":
            return [self.fixpoint()]
        if name == "when":
            return [self.when(word, before)]
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
            known = {*self.registry.passes, *self.registry.rules(), *self.registry.other_names(), *WORDS}
            raise self.source.error(f"no pass is called {name!r}{nearest(name, known, 'graphopt passes')}", word.at)
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
        return Fixpoint(self.inside([]), limit)

    def inside(self, before: list[Step]) -> list[Step]:
        """The steps in parentheses."""
        self.source.expect("(")
        steps = self.steps(")", before)
        self.source.expect(")")
        return steps

    def when(self, word: Word, before: list[Step]) -> When:
        given = self.options() if self.source.peek() == "{" else []
        if len(given) != 1:
            where = given[1][0].at if given else word.at
            raise self.source.error("when needs one condition: when{target=NAME}(...) or when{not-target=[NAME, NAME]}(...)", where)
        key, value = given[0]
        if key.text not in CONDITIONS:
            raise self.source.error(f"when has no condition {key.text!r}{nearest(key.text, CONDITIONS)}", key.at)
        names = [value] if isinstance(value, Word) else value or []
        if not names:
            raise self.source.error(f"when{{{key.text}}} takes names of targets: {_listed(self.registry)}", key.at)
        for name in names:
            if why := _mismatch(Level.EXTENDED, name.text, self.registry):
                raise self.source.error(why, name.at)
        around, self.has_target = self.has_target, True
        steps = self.inside(before)
        self.has_target = around
        return When(steps, **{key.text.replace("-", "_"): [name.text for name in names]})

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
        needs = number > Level.BASIC and not self.has_target
        if (target is not None or needs) and (why := _mismatch(number, target, self.registry)):
            raise self.source.error(why, at)
        return LevelStep(number, target or "")

    def skip(self, name: str, word: Word, before: list[Step]) -> list[Step]:
        if name not in self.registry.passes and self.registry.other_name(name) is None:
            known = {*self.registry.passes, *self.registry.other_names()}
            raise self.source.error(f"no pass is called {name!r}{nearest(name, known, 'graphopt passes')}", word.at + 1)
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


def _flat(steps: Iterable[Step | str]) -> Iterator[Step]:
    """Steps, those that are texts parsed; the target that a level needs may be said later."""
    for step in [steps] if isinstance(steps, str) else steps:
        if isinstance(step, str):
            yield from _Parser(Source(step), installed(), has_target=True).pipeline()
        elif isinstance(step, (Pass, Fixpoint, When, LevelStep, Skip)):
            yield step
        else:
            hint = "; make one of it: add ()" if isinstance(step, type) and issubclass(step, Pass) else ""
            raise SpecError(f"{step!r} is no step of a pipeline{hint}")


def _bound(steps: Iterable[Step], target: str, registry: Registry, before: Sequence[Step]) -> list[Step]:
    """The steps that are left for a target. `before` are steps before them."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, When):
            _check_targets((*step.target, *step.not_target), registry)
            found += _bound(step.steps, target, registry, [*before, *found]) if step.holds(target) else ()
        elif isinstance(step, Fixpoint):
            found.append(Fixpoint(_bound(step.steps, target, registry, []), step.limit))
        elif isinstance(step, LevelStep) and step.level > Level.BASIC and not step.target:
            found.append(LevelStep(step.level, target))
        elif not isinstance(step, Skip) or _has_level([*before, *found]):  # the level that it was left out of may be another target's
            found.append(step)
    return found


def _check_targets(names: Iterable[str], registry: Registry) -> None:
    for name in names:
        if why := _mismatch(Level.EXTENDED, name, registry):
            raise SpecError(why)


def _names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _has_level(steps: Iterable[Step]) -> bool:
    return any(isinstance(step, LevelStep) or (isinstance(step, (Fixpoint, When)) and _has_level(step.steps)) for step in steps)


def no_target(level: int, registry: Registry) -> str:
    """What to say of a level that has no target."""
    return f"level {level} needs a target, as level{level}{{target=NAME}} or --target NAME; known: {_listed(registry)}"


def _mismatch(level: int, target: str | None, registry: Registry) -> str:
    """Why a level does not go with a target, or with none; empty when it does."""
    if target is None:
        return no_target(level, registry)
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

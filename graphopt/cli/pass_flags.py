"""Flags that are passes: `--fuse-conv-bn`, `--fold-constants=max-growth=1MiB`, `--fold-constants.max-growth=1MiB`, `-O1`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from graphopt.pipeline.pipeline import Pipeline
    from graphopt.pipeline.registry import Registry

FLAGS = f"{__name__}: flags"
PLUGINS = f"{__name__}: plugins"
HIGHEST = 3
FLAGS_FOR_PASSES = [
    ("--PASS[=OPTIONS]", "Run this pass, by our name or another tool's; OPTIONS as a pipeline has them: --PASS='a=1 b=2'."),
    ("--PASS.OPTION=VALUE", "The same, one option at a time."),
    ("-O0 ... -O3", "Run the levels 1 to this one; -O2 and -O3 need --target."),
]
EVERY = ""  # stands for every pass
PLAIN = re.compile(r"[^\s(){},=\[\]\"]+|\[.*\]|\".*\"", re.DOTALL)  # a value that a pipeline's text takes as it is


class Named(NamedTuple):
    """A pass or a level: `--NAME` or `--NAME=OPTIONS`."""

    name: str
    options: str = ""


class Dotted(NamedTuple):
    """One option of a pass: `--NAME.OPTION=VALUE`; `value` is None for a bare `--NAME.OPTION`."""

    name: str
    option: str
    value: str | None

    def __str__(self) -> str:
        if self.value is None:
            return self.option
        return f"{self.option}={self.value if PLAIN.fullmatch(self.value) else json.dumps(self.value)}"


class Levels(NamedTuple):
    """`-O1`: all levels up to this one."""

    highest: int

    def __str__(self) -> str:
        return ", ".join(f"level{level}" for level in range(1, self.highest + 1))


Flag: TypeAlias = "Named | Dotted | Levels"


class OptionalValue(click.Option):
    """An option of `PassFlags` that may stand alone, and then means EVERY; a value comes after `=` only."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """As it is to be typed."""
        return f"{self.opts[0]}[={self.metavar}]", self.help or ""


class PassFlags(click.Command):
    """A command of whose flags those that it does not know are passes, in the order in which they stand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the passes aside; click reads the rest."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        own = {flag: option for option in options for flag in (*option.opts, *option.secondary_opts)}
        flags: list[Flag] = []
        rest: list[str] = []
        plugins: list[str] = []
        for position, argument in enumerate(args):
            name, sign, value = argument.partition("=")
            if argument == "--":
                rest += args[position:]
                break
            if argument.startswith("-O"):
                flags.append(_levels(argument, ctx))
            elif name.startswith("--") and name not in own:
                flags.append(_flag(name[2:], sign, value))
            elif isinstance(own.get(name), OptionalValue):
                rest.append(argument if sign else f"{name}={EVERY}")
            else:
                rest.append(argument)
                if name == "--plugin":
                    plugins += [value] if sign else args[position + 1 : position + 2]
        ctx.meta[FLAGS], ctx.meta[PLUGINS] = flags, plugins
        return super().parse_args(ctx, rest)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As click does it, with the flags that stand for passes."""
        from graphopt.cli.completion import flags

        return [*super().shell_complete(ctx, incomplete), *(flags(ctx, incomplete) if incomplete.startswith("-") else ())]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, with the flags that stand for passes, by level."""
        from graphopt.cli.pass_list import listed, sections

        super().format_options(ctx, formatter)
        with formatter.section("Passes, run in the order of their flags"):
            formatter.write_dl(FLAGS_FOR_PASSES)
        for title, found in sections(listed(tuple(ctx.meta.get(PLUGINS, ())))):
            with formatter.section(title):
                formatter.write_dl([(f"--{each.name}", each.told) for each in found])


def _levels(argument: str, context: click.Context) -> Levels:
    number = argument[2:].removeprefix("=")
    if number not in map(str, range(HIGHEST + 1)):
        raise click.UsageError(f"{argument}: there is no such level; known: -O0, -O1, -O2, -O3", context)
    return Levels(int(number))


def _flag(word: str, sign: str, value: str) -> Flag:
    name, dot, option = word.partition(".")
    return Dotted(name, option, value if sign else None) if dot else Named(name, value)


def pipeline_of(flags: Sequence[Flag], text: str | None, target: str | None, registry: Registry, context: click.Context) -> Pipeline:
    """The pipeline that flags or a text stand for, for a target if one is given. Raises UsageError or SpecError with the near name."""
    from graphopt.pipeline.pipeline import Pipeline

    if text is not None:
        if flags:
            raise click.UsageError(f"give --pipeline or {_spelled(flags[0])}, not both; a pipeline may contain all passes")
        return Pipeline.of(text, None, target, registry)
    _check_names(flags, registry, context)
    for flag in flags:
        if isinstance(flag, Levels) and flag.highest > 1 and target is None:
            raise click.UsageError(f"{_spelled(flag)} needs --target NAME; known: {', '.join(registry.targets) or 'none'}")
    if target is not None and not flags:
        raise click.UsageError(f"--target {target} runs nothing by itself: add -O2, passes or a --pipeline")
    return Pipeline.of(", ".join(filter(None, map(str, steps_of(flags)))), None, target, registry)


def steps_of(flags: Sequence[Flag]) -> list[str]:
    """The steps of a pipeline, as text. A dotted option goes to the nearest pass of its name, the one before it when two are as near.

    >>> steps_of([Named("a", "x=1"), Named("b"), Dotted("a", "y", "2 3"), Dotted("c", "z", None), Levels(1)])
    ['a{x=1 y="2 3"}', 'b', 'c{z}', 'level1']
    """
    places = [place for place, flag in enumerate(flags) if not isinstance(flag, Dotted)]
    options: dict[int, list[str]] = {place: [] for place in places}
    for place, flag in enumerate(flags):
        if isinstance(flag, Dotted):
            same = [other for other in options if flag.name == getattr(flags[other], "name", None)]
            home = min(same, key=lambda other: (abs(other - place), other), default=place)
            options.setdefault(home, []).append(str(flag))
    steps = []
    for place in sorted(options):
        flag = flags[place]
        if isinstance(flag, Levels):
            steps.append(str(flag))
        else:
            inside = " ".join([*([flag.options] if isinstance(flag, Named) and flag.options else []), *options[place]])
            steps.append(f"{flag.name}{{{inside}}}" if inside else flag.name)
    return steps


def _check_names(flags: Iterable[Flag], registry: Registry, context: click.Context) -> None:
    from graphopt.errors import nearest

    for name in [flag.name for flag in flags if not isinstance(flag, Levels)]:
        is_pass = name in registry.passes or re.fullmatch(r"level\d+", name) or registry.other_name(name) is not None
        if not is_pass and name not in registry.rules():
            own = [flag[2:] for param in context.command.params for flag in param.opts if flag.startswith("--")]
            known = [*own, *registry.passes, *registry.other_names()]
            raise click.UsageError(f"no option and no pass is called --{name}{nearest(name, known, 'onnx-opt --help')}")


def _spelled(flag: Flag) -> str:
    return f"-O{flag.highest}" if isinstance(flag, Levels) else f"--{flag.name}"

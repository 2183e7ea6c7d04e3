"""Write docs/commands.md, the page about both commands, from what they declare: `python tools/commands.py`.

With --check nothing is written; the exit status says whether the page is current.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click

from graphopt.cli.app import COMMANDS, OPT, graphopt
from graphopt.cli.onnx_opt import onnx_opt
from graphopt.cli.pass_flags import FLAGS_FOR_PASSES, PassFlags
from tools.pages import keep

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
RENEW = "python tools/commands.py"
NO_FOLDING = "\b"  # how click marks a paragraph whose lines stay as they are

HEAD = f"""\
<!-- Made by `{RENEW}` from what the commands declare: change those and run it. -->

# Commands

`graphopt` is for people with a model, `{OPT}` for those who work on passes. Each says the same of itself with `--help`.

The exit status is 0; 1 when the model, or what was found in it, is the reason; 2 when the command line is; 70 for a fault of graphopt's.
Results go to stdout, in colour only on a terminal; warnings and errors to stderr, each in a sentence. `graphopt completion` lets a shell
complete it all.
"""


def page() -> str:
    """The whole page."""
    group = click.Context(graphopt, info_name="graphopt")
    found = [(name, graphopt.get_command(group, name)) for name in COMMANDS]
    commands = [(name, command) for name, command in found if command is not None]
    lines = ["| | |", "|---|---|"]
    lines += [f"| [graphopt {name}](#graphopt-{name}) | {COMMANDS[name][1]} |" for name, _ in commands]
    lines.append(f"| [{OPT}](#{OPT}) | {first_sentence(onnx_opt)} |")
    parts = [HEAD, "\n".join(lines), ""]
    parts += [entry(f"graphopt {name}", command) for name, command in commands]
    parts.append(entry(OPT, onnx_opt))
    return "\n".join(parts).rstrip() + "\n"


def first_sentence(command: click.Command) -> str:
    """How the help of a command begins."""
    return re.split(r"(?<=\.)\s", " ".join((command.help or "").split()), maxsplit=1)[0]


def entry(name: str, command: click.Command) -> str:
    """What there is to say of one command."""
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [f"## {name}", "", f"    {usage}", "", *paragraphs(command.help or "")]
    records = [*options(command, context), *(FLAGS_FOR_PASSES if isinstance(command, PassFlags) else ())]
    if records:
        lines += ["| option | |", "|---|---|"]
        lines += [f"| {' '.join(f'`{cell(part)}`' for part in parts(flags))} | {cell(said)} |" for flags, said in records]
        lines.append("")
    if command.epilog:
        lines += ["```sh", *(line for line in inspect.cleandoc(command.epilog).splitlines() if line != NO_FOLDING), "```", ""]
    return "\n".join(lines)


def options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """The options of a command with what is said of them; --help, which all have, is left out."""
    for param in command.params:
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            yield record


def parts(flags: str) -> list[str]:
    """The spellings of an option, each with what it takes.

    >>> parts("-o, --output OUT"), parts("--external-data / --inline"), parts("--freeze NAME=SIZE,...")
    (['-o', '--output OUT'], ['--external-data', '--inline'], ['--freeze NAME=SIZE,...'])
    """
    return re.split(r", (?=-)| / (?=-)", flags)


def cell(text: str) -> str:
    """A text as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def paragraphs(text: str) -> Iterator[str]:
    """The help of a command as Markdown: what click leaves as it is becomes a block."""
    for paragraph in re.split(r"\n{2,}", inspect.cleandoc(text)):
        lines = paragraph.splitlines()
        if lines and lines[0] == NO_FOLDING:
            yield from ["```text", *lines[1:], "```", ""]
        else:
            yield from [*lines, ""]


if __name__ == "__main__":
    sys.exit(keep(PAGE, page, "the commands"))

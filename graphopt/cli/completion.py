"""`graphopt completion`, and what shells complete: commands and options by click, names of passes, rules and targets by what follows here.

What a parameter takes is read off its metavar, so that every command's PASS, RULE, PIPELINE and TARGET completes. Nothing is imported but
the plug-ins' lists of names: names of passes and rules are read from source files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias, final

import click
from click.shell_completion import CompletionItem, get_completion_class

from graphopt.cli.app import COMPLETING

if TYPE_CHECKING:
    from graphopt.pipeline.plugin import Plugin

    Text = click.ParamType[str]
else:
    Text = click.ParamType  # which older versions of click do not let anybody subscript

SHELLS = ("bash", "zsh", "fish")
FILES = {  # where a shell reads what it is to run when it starts, and the line to put there
    "bash": ("~/.bashrc", 'eval "$(graphopt completion bash)"'),
    "zsh": ("~/.zshrc, after compinit", 'eval "$(graphopt completion zsh)"'),
    "fish": ("~/.config/fish/config.fish", "graphopt completion fish | source"),
}
RULE = re.compile(r"^@rule\b[^@]*?^def (\w+)\(", re.MULTILINE | re.DOTALL)
REPLY = "COMPREPLY+=($value)"  # how click's script for bash takes what completes a line
REPLY_GOING_ON = f"{REPLY}; [[ $value == *[=\\(.] ]] && compopt -o nospace"  # without the blank after `max-growth=`
IMPORTED = re.compile(r"^from (\S+) import", re.MULTILINE)
MOST_FILES = 1000  # of one package, in which rules are looked for
TARGET = re.compile(r"target=\[?(?:[\w-]+,\s*)*[\w-]*$")
OPTIONS = re.compile(r"([a-z][a-z0-9-]*)\{(?:[^{}]*[\s,])?[\w-]*$")
WORD = re.compile(r"-?[\w-]*$")
LAST = re.compile(r"[\w-]*$")
PATHS = ("IN", "[IN]", "[OUT]", "MODEL", "FILE.py|MODULE")

Names: TypeAlias = "list[tuple[str, str]]"  # each with a word about it


@click.command
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that lets a shell complete both commands: their options, and names of passes, rules, targets and files.

    \b
    bash: put into ~/.bashrc:                   eval "$(graphopt completion bash)"
    zsh:  put into ~/.zshrc, after compinit:    eval "$(graphopt completion zsh)"
    fish: put into ~/.config/fish/config.fish:  graphopt completion fish | source
    """
    file, line = FILES[shell]
    known = get_completion_class(shell)
    assert known is not None  # click knows all that we offer
    parts = [f"# Completion for graphopt and onnx-opt. Put this line into {file}:  {line}"]
    for program, variable in COMPLETING.items():
        made = known(click.Command(program), {}, program, variable)
        parts.append((made.source_template % made.source_vars()).strip().replace(REPLY, REPLY_GOING_ON))
    click.echo("\n\n".join(parts))


def rejoin_words() -> None:
    """Undo what bash does to `--option=value`, which it hands over as three words: without the sign click understands the other two."""
    words, place = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    if not place.isdigit():  # fish gives the word itself
        return
    signs = [at for at in range(1, min(int(place), len(words))) if words[at] == "=" and words[at - 1].startswith("--")]
    os.environ["COMP_WORDS"] = "\n".join(word for at, word in enumerate(words) if at not in signs)
    os.environ["COMP_CWORD"] = str(int(place) - len(signs))


def completing(command: click.Command) -> click.Command:
    """The command, with parameters that know what names they take."""
    for param in command.params:
        names = KINDS.get("TARGET" if param.name == "target" else _metavar(param))
        if names is not None:
            param.type = Named(names)
        elif isinstance(param.type, click.types.StringParamType) and _metavar(param) in PATHS:
            param.type = click.Path()
    return command


def _metavar(param: click.Parameter) -> str:
    return (param.metavar or "").strip("[].") if param.metavar not in PATHS else param.metavar


@final
class Named(Text):
    """A text that completes to names; what is typed is taken as it is."""

    name = "text"

    def __init__(self, names: Callable[[click.Context, str], Names]) -> None:
        self._names = names

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin as what is typed; none where something is wrong, which the command itself will tell."""
        return items(self._names(ctx, incomplete), incomplete)


def items(names: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    """Those of some names that go on from what is typed."""
    return [CompletionItem(name, help=said or None) for name, said in names if name.startswith(incomplete)]


# ---- the names


def passes(context: click.Context, incomplete: str = "") -> Names:
    """The passes, each with its summary."""
    from graphopt.pipeline.catalogue import catalogue

    return [(one.name, one.summary) for one in catalogue(_plugins(context))[0]]


def rules(context: click.Context, incomplete: str = "") -> Names:
    """The rules: those that plug-ins list, and those that are written where their passes are, or where these import from."""
    found: dict[str, None] = {}
    for plugin in _plugins(context):
        found |= dict.fromkeys(plugin.rules)
        near = dict.fromkeys(_package(target) for target in (*plugin.passes.values(), *plugin.rules.values()))
        texts = [text for package in near for text in _sources(package)]
        imported = {package for text in texts for package in map(_package, IMPORTED.findall(text)) if _top(package) in map(_top, near)}
        texts += [text for package in sorted(imported - near.keys()) for text in _sources(package)]
        found |= dict.fromkeys(name.replace("_", "-") for text in texts for name in RULE.findall(text))
    return [(name, "") for name in sorted(found)]


def targets(context: click.Context, incomplete: str = "") -> Names:
    """The targets."""
    return [(name, "") for plugin in _plugins(context) for name in plugin.targets]


def pipelines(context: click.Context, incomplete: str) -> Names:
    """What may stand at the end of a pipeline's text, after what stands there."""
    if TARGET.search(incomplete):
        return _continued(incomplete, LAST, targets(context))
    if inside := OPTIONS.search(incomplete):
        return _continued(incomplete, LAST, _options(context, inside[1]))
    known = passes(context)
    if (word := WORD.search(incomplete)) is not None and word[0].startswith("-"):
        return _continued(incomplete, WORD, [(f"-{name}", said) for name, said in known])
    levels = [(f"level{number}", "") for number in range(1, 4)]
    words = [*levels, ("fixpoint(", "again until nothing changes"), ("when{target=", "for one target only")]
    return _continued(incomplete, WORD, [*known, *words])


def flags(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """The flags of onnx-opt that are passes, `--NAME` and `--NAME.OPTION`."""
    name, dot, _ = incomplete.removeprefix("--").partition(".")
    if dot:
        return items([(f"--{name}.{option}", said) for option, said in _options(context, name)], incomplete)
    levels = [(f"-O{level}", "the levels up to this one") for level in range(4)]
    return items([*((f"--{one}", said) for one, said in passes(context)), *levels], incomplete)


KINDS: dict[str, Callable[[click.Context, str], Names]] = {"PASS": passes, "RULE": rules, "TARGET": targets, "PIPELINE": pipelines}


def _continued(text: str, last: re.Pattern[str], names: Names) -> Names:
    """Names in the place of the last word of a text."""
    found = last.search(text)
    before = text[: found.start()] if found is not None else text
    return [(before + name, said) for name, said in names]


def _plugins(context: click.Context) -> list[Plugin]:
    """What is installed, and what the line names; what cannot be loaded is left out."""
    from graphopt.errors import SpecError
    from graphopt.pipeline.discovery import discovered, load_plugin

    found, _ = discovered()
    for target in context.params.get("plugins") or ():
        try:
            found.append(load_plugin(target))
        except SpecError:
            continue
    return found


def _options(context: click.Context, name: str) -> Names:
    """The options of a pass, which is imported for that; those of fixpoint and when."""
    from graphopt.errors import SpecError
    from graphopt.pipeline.options import options_of
    from graphopt.pipeline.registry import Registry

    words = {"fixpoint": [("limit=", "rounds")], "when": [("target=", ""), ("not-target=", "")], "level2": [("target=", "")]}
    if name in words:
        return words[name]
    try:
        known = Registry(tuple(_plugins(context))).pass_named(name)
    except SpecError:
        return []
    return [(f"{option.name}=", option.doc or option.kind) for option in options_of(known)]


def _package(target: str) -> str:
    """The package in which "package.module:name" stands, or the module when it is in none."""
    module = target.partition(":")[0]
    return module.rpartition(".")[0] or module


def _top(package: str) -> str:
    return package.partition(".")[0]


def _sources(package: str) -> list[str]:
    """The files of a package, or of a module, as text; nothing of it is imported but what it lies in."""
    from importlib.util import find_spec
    from pathlib import Path

    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None or not spec.origin:
        return []
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    files = [file for place in places for file in sorted(place.glob("*.py"))] or [Path(spec.origin)]
    found = []
    for file in files[:MOST_FILES]:
        try:
            found.append(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
    return found

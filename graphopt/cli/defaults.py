"""What the options of a command are when nobody gives them but a plug-in does; as click's `default_map`, read when it is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

import click

from graphopt.cli.shared import registry_of, warn

if TYPE_CHECKING:
    from graphopt.pipeline.registry import Registry


@final
class CommandDefaults(Mapping[str, Any]):  # Any: click wants a mapping of anything
    """The defaults of each command of a group."""

    def __init__(self, commands: Collection[str]) -> None:
        self._commands = commands

    def __getitem__(self, command: str) -> OptionDefaults:
        if command not in self._commands:
            raise KeyError(command)
        return OptionDefaults(self._commands)

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


@final
class OptionDefaults(Mapping[str, Any]):  # Any: one type for each option
    """The defaults of the command that click is reading, by the name of the parameter.

    Nothing is loaded for --help and its like, which are read before anything has a default. Raises SpecError when two plug-ins disagree
    about an option that is not given.
    """

    def __init__(self, commands: Collection[str]) -> None:
        self._commands = commands
        self._wanted: dict[str, dict[str, object]] | None = None  # parameter -> plug-in -> value

    def __getitem__(self, name: str) -> Any:  # Any: as above
        context = click.get_current_context()
        options = {param.name or "": param for param in context.command.params if isinstance(param, click.Option) and not param.is_eager}
        if name not in options or context.resilient_parsing:
            raise KeyError(name)
        if self._wanted is None:
            registry = registry_of(context.params.get("plugins", ()))
            self._wanted = {key: _wanted(registry, option, context) for key, option in options.items()}
            _check_words(registry, context.command.name or "", [*options.values()], self._commands)
        wanted = self._wanted[name]
        if not wanted:
            raise KeyError(name)
        (owner, value), *others = wanted.items()
        for other, unequal in others:
            if unequal != value:
                from graphopt.errors import SpecError

                which = f"the default of {options[name].opts[-1]} of {context.command.name!r}, {value!r} and {unequal!r}"
                raise SpecError(f"the plug-ins {owner!r} and {other!r} disagree about {which}; give the option yourself")
        return value

    def __iter__(self) -> Iterator[str]:
        return (param.name for param in click.get_current_context().command.params if param.name in self)

    def __len__(self) -> int:
        return len(list(iter(self)))


def _check_words(registry: Registry, command: str, options: list[click.Option], commands: Collection[str]) -> None:
    """Warn of defaults for commands that are not there, and for options that this command does not have."""
    from graphopt.errors import nearest

    known = [flag.lstrip("-") for option in options for flag in option.opts if flag.startswith("--")]
    for plugin in registry.plugins:
        who = f"the plug-in {plugin.name!r} has a default for"
        for name in set(plugin.defaults).difference(commands):
            warn(f"{who} the command {name!r}, which is not there{nearest(name, commands)}")
        for word in plugin.defaults.get(command, {}):
            if not any(_is_of(word, option) for option in options):
                warn(f"{who} the option {word!r} of {command!r}, which has none of this name{nearest(word, known)}")


def _is_of(word: str, option: click.Option) -> bool:
    """Whether a plug-in means this option: as it is given, with or without the hyphens."""
    return f"--{word.lstrip('-').replace('_', '-')}" in option.opts


def _wanted(registry: Registry, option: click.Option, context: click.Context) -> dict[str, object]:
    """What plug-ins want an option to be, by their names; a warning for what it cannot be."""
    found: dict[str, object] = {}
    for plugin in registry.plugins:
        for word, value in plugin.defaults.get(context.command.name or "", {}).items():
            if not _is_of(word, option):
                continue
            given = (value,) if option.multiple and isinstance(value, str) else value
            try:
                option.type_cast_value(context, given)
            except click.BadParameter as error:
                which = f"{option.opts[-1]} of {context.command.name!r}"
                warn(f"the plug-in {plugin.name!r} has the default {value!r} for {which}, which is left out: {error.message}")
            else:
                found[plugin.name] = given
    return found

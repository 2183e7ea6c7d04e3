"""The options of a pass: the fields of its dataclass, read from the text of a pipeline and printed back."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
from dataclasses import MISSING, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, get_args, get_origin

from graphopt.errors import nearest
from graphopt.pipeline.words import Given, Source, Word

if TYPE_CHECKING:
    from graphopt.pipeline.base import Pass

Hint: TypeAlias = Any  # what stands behind the colon of a field: a class, Literal[...], tuple[X, ...], X | None
UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
BARE = re.compile(r"[A-Za-z_][\w./:-]*", re.ASCII)


class ByteSize(int):
    """A number of bytes, written `1MiB`, `64kB` or `4096`. The type of an option that is a size."""

    @classmethod
    def of(cls, text: str) -> ByteSize:
        """Read a size. Raises ValueError for anything else, a negative one too.

        >>> ByteSize.of("1.5KiB"), str(ByteSize(3 << 20))
        (1536, '3MiB')
        """
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", text)
        if found is None or (found[2] and found[2] not in UNITS):
            raise ValueError(text)
        size = float(found[1]) * UNITS.get(found[2], 1) if "." in found[1] else int(found[1]) * UNITS.get(found[2], 1)
        if size != int(size):
            raise ValueError(text)
        return cls(int(size))

    def __str__(self) -> str:
        unit = next((unit for unit in ("TiB", "GiB", "MiB", "KiB") if self and self % UNITS[unit] == 0), "")
        return f"{int(self) // UNITS.get(unit, 1)}{unit}"

    def __repr__(self) -> str:
        return int.__repr__(self)


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a pass, as a pipeline spells it; `default` is MISSING when it must be given."""

    name: str
    field: str
    hint: Hint
    default: object
    doc: str

    @property
    def kind(self) -> str:
        """What it takes, in words."""
        return _kind(self.hint)

    @property
    def default_text(self) -> str:
        """The default as a pipeline would spell it."""
        return "no default" if self.default is MISSING else print_value(self.default, self.hint)


def options_of(of: type[Pass]) -> tuple[Option, ...]:
    """The options of a class of passes, in their order. Raises TypeError for a field whose type no text can be read as."""
    found = []
    for field in dataclasses.fields(of):
        if field.init:
            hint = _hint(of, field.type)
            _kind(hint)
            default = field.default_factory() if field.default_factory is not MISSING else field.default
            found.append(Option(field.name.replace("_", "-"), field.name, hint, default, str(field.metadata.get("doc", ""))))
    return tuple(found)


def make(of: type[Pass], given: list[Given], source: Source, at: int) -> Pass:
    """The pass that `name{given}` stands for. Raises SpecError, pointing into the source, for what is unknown, missing or no value."""
    options = {option.name: option for option in options_of(of)}
    values: dict[str, object] = {}
    for key, value in given:
        option = options.get(key.text)
        if option is None:
            raise source.error(f"{of.name} has no option {key.text!r}{nearest(key.text, options)}", key.at)
        if option.field in values:
            raise source.error(f"the option {key.text!r} is given twice", key.at)
        try:
            values[option.field] = read_value(value, option.hint)
        except ValueError:
            where = value if isinstance(value, Word) else value[0] if value else key
            why = f"{of.name}{{{option.name}}} takes {option.kind}, not {_shown(value)} (default: {option.default_text})"
            raise source.error(why, where.at) from None
    for option in options.values():
        if option.default is MISSING and option.field not in values:
            raise source.error(f"{of.name} needs the option {option.name!r}: {option.kind}", at)
    try:
        return of(**values)
    except (TypeError, ValueError) as error:  # the class checks its own values in __post_init__
        raise source.error(f"{of.name}: {error}", at) from error


def read_value(value: Word | list[Word] | None, hint: Hint) -> object:
    """What a text means for a type. Raises ValueError when it means nothing; an option without `=` is None here and true for a bool."""
    optional, hint = _split_optional(hint)
    if value is None:
        if hint is bool:
            return True
        raise ValueError("no value")
    if optional and isinstance(value, Word) and not value.quoted and value.text == "none":
        return None
    if _origin(hint) is tuple:
        words = value if isinstance(value, list) else [value]
        return tuple(read_value(word, get_args(hint)[0]) for word in words)
    if isinstance(value, list):
        raise ValueError("a list")
    return _read_word(value, hint)


def _read_word(word: Word, hint: Hint) -> object:
    text = word.text
    if hint is str:
        return text
    if _origin(hint) is Literal:
        choices = {choice if isinstance(choice, str) else _spelled(choice): choice for choice in get_args(hint)}
        return choices[text] if text in choices else _refuse(text)
    if word.quoted:
        raise ValueError(text)
    if hint is bool:
        return {"true": True, "false": False}[text] if text in ("true", "false") else _refuse(text)
    if hint is float:
        number = float(text)
        return number if number == number else _refuse(text)
    if issubclass(hint, ByteSize):
        return hint.of(text)
    if issubclass(hint, Enum):
        members = {_member(member): member for member in hint}
        return members[text] if text in members else _refuse(text)
    return int(text)


def print_value(value: object, hint: Hint) -> str:
    """A value as `read_value` reads it back."""
    _, hint = _split_optional(hint)
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return f"[{', '.join(print_value(item, get_args(hint)[0]) for item in value)}]"
    if isinstance(value, Enum):
        return _member(value)
    if isinstance(hint, type) and issubclass(hint, ByteSize) and isinstance(value, int):
        return str(hint(value))
    return _spelled(value)


def print_options(step: Pass) -> str:
    """The options that differ from their defaults, in braces; nothing when none does."""
    changed = [option for option in options_of(type(step)) if getattr(step, option.field) != option.default]
    inside = " ".join(f"{option.name}={print_value(getattr(step, option.field), option.hint)}" for option in changed)
    return f"{{{inside}}}" if inside else ""


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if BARE.fullmatch(value) and value != "none" else json.dumps(value)
    return repr(value)


def _member(member: Enum) -> str:
    return member.name.lower().replace("_", "-")


def _kind(hint: Hint) -> str:
    optional, hint = _split_optional(hint)
    if optional:
        return f"{_kind(hint)}, or none"
    if _origin(hint) is Literal:
        return f"one of {', '.join(map(_spelled, get_args(hint)))}"
    if _origin(hint) is tuple and len(get_args(hint)) == 2 and get_args(hint)[1] is Ellipsis:
        return f"a list, [first, second], each {_kind(get_args(hint)[0])}"
    if isinstance(hint, type):
        if issubclass(hint, ByteSize):
            return "a size like 4096, 64kB or 1MiB"
        if issubclass(hint, Enum):
            return f"one of {', '.join(map(_member, hint))}"
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a word or a quoted text"}
        if hint in words:
            return words[hint]
    raise TypeError(f"no option can be a {hint}: use bool, int, float, str, ByteSize, Literal, an Enum, tuple[X, ...] or X | None")


def _split_optional(hint: Hint) -> tuple[bool, Hint]:
    if _origin(hint) in (Union, types.UnionType) and types.NoneType in get_args(hint):
        left = [part for part in get_args(hint) if part is not types.NoneType]
        if len(left) == 1:
            return True, left[0]
    return False, hint


def _origin(hint: Hint) -> object:
    return get_origin(hint)


def _hint(of: type, annotation: object) -> Hint:
    """What an annotation means, evaluated where the class that has it (or a base of it) was written."""
    if not isinstance(annotation, str):
        return annotation
    for base in of.__mro__:
        try:
            return eval(annotation, dict(vars(sys.modules[base.__module__])), dict(vars(base)))
        except NameError:
            continue
    raise TypeError(f"{of.__qualname__}: the type {annotation} of an option cannot be found where the class is defined")


def _shown(value: Word | list[Word] | None) -> str:
    if value is None:
        return "nothing"
    return repr(value.text) if isinstance(value, Word) else f"[{', '.join(word.text for word in value)}]"


def _refuse(text: str) -> object:
    raise ValueError(text)


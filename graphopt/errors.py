"""The three ways in which graphopt fails: the model, the caller's words, our own bug."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet


class GraphoptError(Exception):
    """Anything graphopt raises on purpose; `exit_status` is what the command line ends with."""

    exit_status = 1


class ModelError(GraphoptError):
    """The user's model is at fault: unreadable, invalid, incomplete, or its files cannot be read or written."""


class SpecError(GraphoptError):
    """The caller's words are at fault: an unknown pass, a bad option, a pipeline that does not parse."""

    exit_status = 2


class InternalError(GraphoptError):
    """graphopt broke its own rules. Please report it, with the model or the reproducer that the message names."""

    exit_status = 70  # EX_SOFTWARE of sysexits.h


FEW = 12  # names that a message may list


def nearest(word: str, known: Iterable[str], listed_by: str = "") -> str:
    """How a message about an unknown word ends: the nearest valid name, or all of them, in the order given, when they are few.

    `listed_by` is the command that lists them when they are many.
    """
    import difflib  # costs start-up time, and most runs have no error

    names = sorted(known) if isinstance(known, AbstractSet) else list(known)
    close = difflib.get_close_matches(word, names, 1, 0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    if not names:
        return "; there are none"
    if len(names) > FEW:
        return f"; `{listed_by}` lists what there is" if listed_by else ""
    return f"; known: {', '.join(names)}"

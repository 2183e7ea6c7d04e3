"""The words of a pipeline's text, and errors that point at them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TypeAlias, final

from graphopt.errors import SpecError

TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([(){},=\[\]])|([^\s(){},=\[\]"]+))')
PUNCTUATION = frozenset("(){},=[]")


@dataclass(frozen=True, slots=True)
class Word:
    """A name, a value or a sign, and where in the source it begins. The text of a quoted one is without quotes."""

    text: str
    at: int
    quoted: bool = False


Given: TypeAlias = "tuple[Word, Word | list[Word] | None]"  # an option and its value; None when it stands without one


@final
class Source:
    """The text of a pipeline, read word by word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = list(self._split())
        self.next = 0

    def _split(self) -> list[Word]:
        words, at = [], 0
        while at < len(self.text.rstrip()):
            found = TOKEN.match(self.text, at)
            if found is None:
                raise self.error("a quoted text is not closed", self.text.index('"', at))
            kind = found.lastindex or 0
            if kind == 1:
                words.append(Word(self._unquoted(found[1], found.start(1)), found.start(1), quoted=True))
            else:
                words.append(Word(found[kind], found.start(kind)))
            at = found.end()
        return words

    def _unquoted(self, quoted: str, at: int) -> str:
        try:
            return str(json.loads(quoted))
        except ValueError:
            raise self.error(f"{quoted} is no text: write it as JSON writes strings", at) from None

    @property
    def at(self) -> int:
        """Where the next word begins."""
        return self.words[self.next].at if self.next < len(self.words) else len(self.text.rstrip())

    def peek(self) -> str:
        """The next sign or name, "" at the end and before a quoted text."""
        word = self.words[self.next] if self.next < len(self.words) else None
        return "" if word is None or word.quoted else word.text

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self.next >= len(self.words)

    def skip(self, sign: str) -> bool:
        """Go past `sign` if it comes next."""
        if self.peek() != sign:
            return False
        self.next += 1
        return True

    def expect(self, sign: str) -> None:
        """Go past `sign`. Raises SpecError when something else comes."""
        if not self.skip(sign):
            raise self.error(f"expected {sign!r}, found {self._coming()}", self.at)

    def take(self, what: str) -> Word:
        """The next name or value. Raises SpecError, saying that `what` was expected, at a sign or the end."""
        if self.is_done or self.peek() in PUNCTUATION:
            raise self.error(f"expected {what}, found {self._coming()}", self.at)
        self.next += 1
        return self.words[self.next - 1]

    def _coming(self) -> str:
        return "the end" if self.is_done else repr(self.words[self.next].text)

    def error(self, why: str, at: int) -> SpecError:
        """The error that says why and points there."""
        line = self.text.count("\n", 0, at)
        column = at - (self.text.rfind("\n", 0, at) + 1)
        shown = self.text.split("\n")[line].replace("\t", " ")
        place = f"line {line + 1}, column {column + 1}" if "\n" in self.text.strip() else f"column {column + 1}"
        return SpecError(f"pipeline, {place}: {why}\n  {shown}\n  {' ' * column}^")

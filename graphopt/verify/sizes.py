"""Sizes for the dimensions that a model leaves open."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

Sizes: TypeAlias = dict[str, int]

# What exporters call their dimensions, with sizes that fit together (total = past + seq), for models that reject 1, 2 and odd numbers.
_USUAL: Final = (
    {"batch": 1, "total": 24, "past": 8, "seq": 16, "length": 16, "time": 16, "height": 224, "width": 224},
    {"batch": 2, "total": 29, "past": 5, "seq": 24, "length": 24, "time": 24, "height": 256, "width": 192},
)
_ODD: Final = (3, 5, 7, 9, 11, 13)
_LARGER: Final = (4, 8, 16, 32, 64, 128, 224)


def tiers(symbols: Iterable[str]) -> list[list[Sizes]]:
    """Sets of sizes to try; a later tier is for models that reject those before. One empty set when nothing is open.

    The same symbol has one size everywhere; in the third set all have different odd ones, so that two that were mixed up show.
    """
    names = list(symbols)
    if not names:
        return [[{}]]
    uniform = [dict.fromkeys(names, size) for size in (1, 2)]
    odd = {name: _ODD[position % len(_ODD)] for position, name in enumerate(names)}
    usual = [{name: _usual(name, table) for name in names} for table in _USUAL]
    larger = [dict.fromkeys(names, size) for size in _LARGER]
    found: list[list[Sizes]] = []
    for tier in ([*uniform, odd], [dict.fromkeys(names, 3), *usual], larger):
        known = [sizes for earlier in found for sizes in earlier]
        found.append([sizes for position, sizes in enumerate(tier) if sizes not in known and sizes not in tier[:position]])
    return found


def _usual(name: str, table: Mapping[str, int]) -> int:
    low = name.lower()
    if low == "n":
        return table["batch"]
    for word, size in table.items():
        if word in low or low == word[0]:
            return size
    return table["batch"] + 2


def names_in(symbol: str, known: frozenset[str]) -> tuple[str, ...]:
    """The symbols in a dimension's text: those of "past + 1" are `past`, if that is a dimension too; otherwise the text is one symbol."""
    tree = _parsed(symbol)
    if tree is None:
        return (symbol,)
    names = tuple(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))
    return names if names and known.issuperset(names) else (symbol,)


def resolve(symbol: str, sizes: Mapping[str, int]) -> int | None:
    """The size of a dimension's text; None when it depends on a symbol that has none, or comes out negative."""
    if symbol in sizes:
        return sizes[symbol]
    tree = _parsed(symbol)
    value = None if tree is None else _value(tree, sizes)
    return None if value is None or value < 0 else value


def _parsed(symbol: str) -> ast.expr | None:
    try:
        return ast.parse(symbol.strip(), mode="eval").body
    except SyntaxError:
        return None


def _value(tree: ast.expr, sizes: Mapping[str, int]) -> int | None:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int):
        return tree.value
    if isinstance(tree, ast.Name):
        return sizes.get(tree.id)
    if isinstance(tree, ast.BinOp):
        left, right = _value(tree.left, sizes), _value(tree.right, sizes)
        if left is None or right is None:
            return None
        if isinstance(tree.op, ast.Add):
            return left + right
        if isinstance(tree.op, ast.Sub):
            return left - right
        if isinstance(tree.op, ast.Mult):
            return left * right
        if isinstance(tree.op, ast.FloorDiv) and right:
            return left // right
    return None

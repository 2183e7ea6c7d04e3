"""A calibration table: between which numbers each tensor of a model lies.

A JSON object: `{"tensor name": [least, greatest], ...}`, with two finite numbers for each tensor, as the model calls it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Final, TypeAlias

from graphopt.errors import SpecError, nearest

Ranges: TypeAlias = "dict[str, tuple[float, float]]"

GREATEST: Final = 3.4028234e38 / 2  # so that the difference of two is a float32


def read_ranges(path: str, names: Collection[str], asked_by: str) -> Ranges:
    """The table in a file. Raises SpecError for what is no table, or speaks of tensors that are not among `names`."""
    where = f"{asked_by}: the calibration table {path!r}"
    try:
        held = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=tuple)
    except OSError as error:
        raise SpecError(f"{where} cannot be read: {error.strerror or error}; give the path of a JSON file") from error
    except ValueError as error:  # bad UTF-8 as well
        raise SpecError(f"{where} is no JSON: {error}") from error
    except RecursionError:
        raise SpecError(f"{where} is nested too deep to be a table") from None
    if not isinstance(held, tuple):
        raise SpecError(f'{where} is no object; write {{"tensor name": [least, greatest], ...}}')
    ranges: Ranges = {}
    for name, found in held:
        if name in ranges:
            raise SpecError(f"{where} has two ranges of the tensor {name!r}; leave one of them")
        if name not in names:
            raise SpecError(f"{where} speaks of the tensor {name!r}, which the model does not have{nearest(name, names)}")
        ranges[name] = _range(found, f"{where} gives for the tensor {name!r}")
    return ranges


def _range(found: object, what: str) -> tuple[float, float]:
    """Two numbers, the first not greater than the second. Raises SpecError."""
    if not isinstance(found, list) or len(found) != 2 or any(isinstance(end, bool) or not isinstance(end, (int, float)) for end in found):
        raise SpecError(f"{what} {json.dumps(found)[:60]}; a range is two numbers, [least, greatest]")
    if any(not abs(end) <= GREATEST for end in found):  # so it is of a NaN as well
        raise SpecError(f"{what} {json.dumps(found)[:60]}; both ends must be finite numbers of float32")
    low, high = float(found[0]), float(found[1])
    if low > high:
        raise SpecError(f"{what} [{low:g}, {high:g}]; the least number comes first")
    return low, high

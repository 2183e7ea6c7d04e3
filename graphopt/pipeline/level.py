"""The levels. A module of its own, because lists of passes are to appear at once: it imports nothing heavy."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """When a pass runs. `optimize(level=n)` runs the levels 1 to n."""

    PLACEMENT = 0  # after partitioning, whatever the level asked for: casts and copies between providers
    BASIC = 1  # keeps values, standard operators only, right for every runtime
    EXTENDED = 2  # needs a target
    LAYOUT = 3  # memory order

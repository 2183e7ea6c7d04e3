"""What a runtime wants of a model: the passes that prepare it above level 1, and the quantized form that it fuses. Data, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from graphopt.runtimes.wants import Wants


@final
@dataclass(frozen=True, slots=True)
class Target:
    """A runtime, and a processor where that matters. A plug-in declares its own:

        Plugin(..., targets={"my-target": "my_package.targets:MY_TARGET"})

    `levels`: the passes of level 2, and of level 3 if it has one, in the order in which they run; a level runs again until it changes
    nothing. Passes that plug-ins add to level 2 come after them, or where their `after` and `before` ask. `wants` is what `lint` and
    `explain --qdq` know of the runtime.
    """

    name: str
    summary: str
    levels: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    wants: Wants = field(default_factory=Wants)

    @property
    def passes(self) -> tuple[str, ...]:
        """The names of all its passes, each once."""
        return tuple(dict.fromkeys(name for level in sorted(self.levels) for name in self.levels[level]))

"""Where a model comes from, as its file says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from graphopt.io.origin import ModelOrigin
from graphopt.ir.model import Model


@final
@dataclass(frozen=True, slots=True)
class About:
    """`name` is the file, or what messages call a model that came from memory; `data_files` are those beside it that hold weights."""

    name: str = ""
    producer: str = ""
    producer_version: str = ""
    domain: str = ""
    model_version: int = 0
    metadata: tuple[tuple[str, str], ...] = ()
    data_files: frozenset[Path] = frozenset()


def about(model: Model) -> About:
    """What the file says of a model; nothing for one that was made in memory."""
    origin = model.origin
    if not isinstance(origin, ModelOrigin):
        return About()
    message = origin.message
    return About(
        origin.name,
        message.producer_name,
        message.producer_version,
        message.domain,
        message.model_version,
        tuple((entry.key, entry.value) for entry in message.metadata_props),
        frozenset(file.path for file in origin.files),
    )

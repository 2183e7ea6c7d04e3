"""The order of the passes of one level, when plug-ins add theirs to ours."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from graphopt.errors import SpecError


@dataclass(frozen=True, slots=True)
class Place:
    """A pass, whose it is, and which passes it must follow and precede."""

    name: str
    owner: str
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


Key: TypeAlias = "tuple[int, ...]"


def in_order(places: Sequence[Place], first: str) -> tuple[str, ...]:
    """The names in an order that keeps every wish: the passes of the owner `first` as they stand, the others after them or where they ask.

    One that only says `after` comes right after, one that says `before` right before. Wishes about a pass that is not there are
    void. Raises SpecError for wishes that contradict each other, naming the passes.
    """
    index_of: dict[str, int] = {}
    for index, place in enumerate(places):
        index_of[place.name] = index  # the last, where a pass stands several times
    first_of = {place.name: index for index, place in reversed(list(enumerate(places)))}
    following: dict[int, set[int]] = {index: set() for index in range(len(places))}
    ours = [index for index, place in enumerate(places) if place.owner == first]
    for one, other in pairwise(ours):
        following[one].add(other)
    for index, place in enumerate(places):
        for name in place.after:
            if name in index_of:
                following[index_of[name]].add(index)
        for name in place.before:
            if name in first_of:
                following[index].add(first_of[name])
    keys = [_key(index, places, index_of, first_of, ()) for index in range(len(places))]
    return tuple(places[index].name for index in _sorted(places, following, keys))


def _key(index: int, places: Sequence[Place], last: dict[str, int], first: dict[str, int], seen: tuple[int, ...]) -> Key:
    """Where a pass would like to stand: next to the one that it names, otherwise where it is listed."""
    place = places[index]
    if index in seen:  # a circle of wishes; the sort says which
        return (index,)
    after = [last[name] for name in place.after if name in last]
    before = [first[name] for name in place.before if name in first]
    if after:
        return (*max(_key(other, places, last, first, (*seen, index)) for other in after), 1, index)
    if before:
        return (*min(_key(other, places, last, first, (*seen, index)) for other in before), -1, index)
    return (index,)


def _sorted(places: Sequence[Place], following: dict[int, set[int]], keys: Sequence[Key]) -> list[int]:
    waits_for = dict.fromkeys(following, 0)
    for others in following.values():
        for other in others:
            waits_for[other] += 1
    ready = [(keys[index], index) for index, count in waits_for.items() if count == 0]
    heapq.heapify(ready)
    done: list[int] = []
    while ready:
        _, index = heapq.heappop(ready)
        done.append(index)
        for other in following[index]:
            waits_for[other] -= 1
            if waits_for[other] == 0:
                heapq.heappush(ready, (keys[other], other))
    if len(done) < len(places):
        raise _circle(places, {index: others for index, others in following.items() if index not in done})
    return done


def _circle(places: Sequence[Place], left: dict[int, set[int]]) -> SpecError:
    from networkx import DiGraph, find_cycle  # only for the message

    graph: DiGraph[int] = DiGraph((one, other) for one, others in left.items() for other in sorted(others) if other in left)
    names = [f"{places[edge[0]].name!r} ({places[edge[0]].owner})" for edge in find_cycle(graph)]
    wishes = "ask to come each before the next, and the last before the first"
    return SpecError(f"the passes {', '.join(names)} {wishes}: change one's `after` or `before`")

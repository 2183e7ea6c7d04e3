"""Whether the passes that findings recommend do help: each is tried on a copy of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from graphopt.errors import GraphoptError
from graphopt.infer.model import infer_model
from graphopt.ir.model import Model
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import Registry
from graphopt.pipeline.runner import run_pipeline
from graphopt.runtimes.lint import Finding, findings, nameless
from graphopt.runtimes.wants import Wants


def confirmed(found: list[Finding], fresh: Callable[[], Model], wants: Wants, registry: Registry) -> list[Finding]:
    """The same findings, which recommend a pass only where fewer alike are left once it has run.

    `fresh` loads the model anew, once for each pass that is recommended. Linear in the nodes for each of them.
    """
    before = _counted(found)
    useless: set[tuple[str, str, str]] = set()
    for name in dict.fromkeys(one.helps for one in found if one.helps):
        after = _after(name, fresh, wants, registry)
        useless |= {key for key, times in before.items() if key[2] == name and (after is None or _alike(after, key) >= times)}
    return [replace(one, helps="") if _key(one) in useless else one for one in found]


def _after(name: str, fresh: Callable[[], Model], wants: Wants, registry: Registry) -> list[Finding] | None:
    """The findings once a pass has run; None when it cannot, as without options that it needs."""
    model = fresh()
    try:
        if not run_pipeline(Pipeline.parse(name, registry), model, registry=registry):
            return None
    except GraphoptError:
        return None
    infer_model(model)
    return findings(model, wants)


def _key(one: Finding) -> tuple[str, str, str]:
    return one.node.op, nameless(one.reason), one.helps


def _counted(found: Iterable[Finding]) -> Counter[tuple[str, str, str]]:
    return Counter(map(_key, found))


def _alike(found: Iterable[Finding], key: tuple[str, str, str]) -> int:
    """How many findings say the same of the same operator, whatever they recommend."""
    return sum(_key(one)[:2] == key[:2] for one in found)

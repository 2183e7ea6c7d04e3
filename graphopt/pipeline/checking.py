"""Everything that is to be known of a model before work starts: `graphopt check`, as a function."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from graphopt.io.about import about
from graphopt.ir.model import Model
from graphopt.observe.check import Finding, findings_of
from graphopt.observe.check.finding import sorted_by_kind
from graphopt.pipeline.advice import confirmed
from graphopt.pipeline.registry import Registry
from graphopt.pipeline.target import Target
from graphopt.pipeline.trial import try_out
from graphopt.runtimes.lint import Finding as Refused
from graphopt.runtimes.lint import findings as lint
from graphopt.runtimes.lint import nameless


def check_model(
    fresh: Callable[[], Model], registry: Registry, *, target: Target | None = None, weights: bool = False, quick: bool = False
) -> list[Finding]:
    """What is wrong with a model and which flag helps, the worst first.

    `fresh` loads it, with `check_external=False`, each time anew: unless `quick`, level 1 runs on such copies, where nothing is an error,
    and the passes that would help the target are tried, so that only those are recommended that do.
    With `weights` every weight is read. Raises ModelError where no model can be loaded.
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        model = fresh()
    name = about(model).name
    found = [Finding("error", "order", str(warning.message).removeprefix(f"{name}: ")) for warning in heard]
    found += findings_of(model, weights=weights)
    if target is not None:
        refused = lint(model, target.wants)
        if not quick and not _is_wrong(found):
            refused = confirmed(refused, fresh, target.wants, registry)
        found = [one for one in found if one.about != "quantized"] + of_target(refused, target.name)  # what that asks for is given
    if not quick and not _is_wrong(found):
        found += try_out(fresh, registry)
    return sorted_by_kind(found)


def _is_wrong(found: list[Finding]) -> bool:
    return any(one.kind == "error" for one in found)


def of_target(refused: list[Refused], name: str) -> list[Finding]:
    """What a runtime will refuse, compute wrong or leave in floats: one finding for each reason."""
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    for one in refused:
        alike.setdefault((one.kind, one.node.op, nameless(one.reason), one.helps), []).append(one.name)
    return [
        Finding(
            "warning" if kind == "float" else "error", f"target-{kind}", f"{name}: {operator}: {reason}", tuple(names),
            f"the pass {helps}" if helps else "",
        )
        for (kind, operator, reason, helps), names in alike.items()
    ]  # fmt: skip

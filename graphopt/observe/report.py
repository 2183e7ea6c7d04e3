"""What a run did, as data: for people as tables, for programs as JSON.

The JSON has, in this order:

schema          the number of this description; it grows when a field changes its meaning or goes
pipeline        what was asked for, as text
source, output  the files, "" where there was none
before, after   nodes, operators (name -> count), initializers, initializer_bytes, constant_bytes (in nodes), file_bytes (null: no file);
                subgraphs and the bodies of functions are counted in
data_files      files beside output that hold its weights: name, bytes, shared (the source, which is another file, uses it too)
changes         how many changes all passes made
signature       unchanged (but for what was frozen), changes (in words), overridable (initializers that stay inputs), frozen (those made
                constants, as asked)
dimensions      of the inputs: frozen (name -> number), set (INPUT:AXIS without a name -> number or the name it got), both as asked, and
                dynamic (those that are no numbers, by name or as INPUT:AXIS)
passes          for each: name with options, runs, changes, seconds, nodes_before and nodes_after (sums over its runs)
rules           for each rule or whole-graph pass that matched: name, exactness, file, line, fired, declined (reason -> count),
                seconds (from the event before each of its own, so that looking for matches is in them)
rewrites        each in order: number, pass, graph, rule, root, replaced, made (names of nodes; replaced are those that this rewrite took
                out, which may be what earlier ones made)
names           node of the source that is gone or replaced -> the nodes that stand for it
map             nodes (each new or changed node -> op, from, rules: the nodes of the source that it stands for, and what made it so),
                removed (node of the source that nothing stands for -> rule or pass, null: not known), values (name that is gone -> name
                now, or null)
verification    what the comparison found, null when nobody asked; culprit names the rewrite to blame
warnings        what a user should know, each once
seconds         phase (load, optimize, verify, save) -> seconds
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from graphopt.errors import SpecError
from graphopt.infer.freeze import Frozen
from graphopt.io.files import write_text
from graphopt.observe.inventory import Inventory, Signature
from graphopt.observe.provenance import Origins
from graphopt.observe.statistics import PassCount, RuleCount
from graphopt.observe.trace import Rewrite

if TYPE_CHECKING:
    from graphopt.ir.model import Model
    from graphopt.match.rule import Rule
    from graphopt.observe.page.history import History

SCHEMA = 2  # raised whenever a field changes its meaning or goes


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that holds weights of the result; `shared` says that the source uses it too and goes on doing so."""

    name: str
    bytes: int
    shared: bool


@final
@dataclass(slots=True)
class Report:
    """Everything that is known of one run of a pipeline; in a notebook it shows itself.

    `seconds` has the phases load, optimize, verify and save, as far as there were any. `verification` is what the comparison of both models
    says of itself; None when nobody asked. `rewrites`, `names` and `origins` are filled when the run was traced. `overridable` counts the
    initializers that stay inputs, `frozen` names those that were made constants because the caller asked, `frozen_dimensions` says which
    sizes of the inputs are numbers for the same reason. `history` holds what the page draws.
    """

    pipeline: str = ""
    source: str = ""
    output: str = ""
    before: Inventory = field(default_factory=Inventory)
    after: Inventory = field(default_factory=Inventory)
    file_bytes_before: int | None = None
    file_bytes_after: int | None = None
    data_files: list[DataFile] = field(default_factory=list)
    changes: int = 0
    passes: dict[str, PassCount] = field(default_factory=dict)
    rules: dict[str, RuleCount] = field(default_factory=dict)
    definitions: Mapping[str, Rule] = field(default_factory=dict)
    rewrites: list[Rewrite] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)
    origins: Origins = field(default_factory=Origins)
    frozen: list[str] = field(default_factory=list)
    frozen_dimensions: Frozen = field(default_factory=Frozen)
    overridable: int = 0
    signature_changes: list[str] = field(default_factory=list)
    verification: dict[str, Any] | None = None  # Any: JSON
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    history: History | None = None

    @classmethod
    def between(cls, before: Model, after: Model | None = None) -> Report:
        """What can be said of two models that nobody saw become each other, matched by names and structure; or of one alone.

        Types should have been inferred: the page shows them. `source` and `output` say what they are called.
        """
        from graphopt.observe.page.history import History

        report = cls(before=Inventory.of(before), after=Inventory() if after is None else Inventory.of(after))
        if after is not None:
            report.signature_changes = Signature.of(before).changes(Signature.of(after))
        report.history = History.between(before, after)
        return report

    def begin(self, pipeline: str) -> None:
        """Forget an earlier run; a new one begins."""
        fresh = Report(pipeline)
        for each in fields(self):
            setattr(self, each.name, getattr(fresh, each.name))

    def operator_changes(self) -> dict[str, tuple[int, int]]:
        """The operators whose number changed -> (before, after)."""
        before, after = self.before.operators, self.after.operators
        names = sorted({*before, *after})
        return {name: (before.get(name, 0), after.get(name, 0)) for name in names if before.get(name, 0) != after.get(name, 0)}

    def fired(self) -> dict[str, int]:
        """How often each rule, or whole-graph pass, fired; the most frequent first."""
        counts = {name: count.fired for name, count in self.rules.items() if count.fired}
        return dict(sorted(counts.items(), key=lambda item: -item[1]))

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The report as plain data."""
        return {
            "schema": SCHEMA,
            "pipeline": self.pipeline,
            "source": self.source,
            "output": self.output,
            "before": _side(self.before, self.file_bytes_before),
            "after": _side(self.after, self.file_bytes_after),
            "data_files": [asdict(file) for file in self.data_files],
            "changes": self.changes,
            "signature": {
                "unchanged": not self.signature_changes,
                "changes": self.signature_changes,
                "overridable": self.overridable,
                "frozen": self.frozen,
            },
            "dimensions": {
                "frozen": self.frozen_dimensions.names,
                "set": self.frozen_dimensions.places,
                "dynamic": list(self.frozen_dimensions.left),
            },
            "passes": [{"name": name, **asdict(count)} for name, count in self.passes.items()],
            "rules": [self._rule(name, count) for name, count in self.rules.items()],
            "rewrites": [_rewrite(rewrite) for rewrite in self.rewrites],
            "names": self.names,
            "map": self.origins.as_json(),
            "verification": self.verification,
            "warnings": self.warnings,
            "seconds": self.seconds,
        }

    def _rule(self, name: str, count: RuleCount) -> dict[str, Any]:  # Any: JSON
        known = self.definitions.get(name)
        return {
            "name": name,
            "exactness": known.exactness if known is not None else None,
            "file": known.file if known is not None else None,
            "line": known.line if known is not None else None,
            "fired": count.fired,
            "declined": dict(count.declined.most_common()),
            "seconds": count.seconds,
        }

    def to_html(self) -> str:
        """The report as one page with both graphs drawn, which needs no network. Raises SpecError when the run was not watched for it."""
        from graphopt.observe.page.html import page

        if self.history is None:
            raise SpecError("this report knows nothing of the graphs: before the run, give `report=` a path ending in .html, or a Report")
        return page(self, self.history)

    def write(self, path: Path) -> None:
        """Write the page when the name ends in .html, the JSON when it ends in .json; complete or not at all.

        Raises SpecError for another ending, and ModelError when the file cannot be written.
        """
        refuse_unknown_ending(path)
        write_text(path, self.to_html() if is_page(path) else json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")

    def _repr_html_(self) -> str:
        from graphopt.observe.page.fragment import fragment

        return fragment(self)


def is_page(path: Path) -> bool:
    """Whether a report of this name is to be a page."""
    return path.suffix.lower() in (".html", ".htm")


def refuse_unknown_ending(path: Path) -> None:
    """Raise SpecError for the name of a report that says neither page nor data. Pipes and devices have no choice of a name: data."""
    if not is_page(path) and path.suffix.lower() != ".json" and (path.is_file() or not path.exists()):
        advice = "a name ending in .html or .htm makes a page with the graphs drawn, one in .json data; give it one of them"
        raise SpecError(f"the report {path}: {advice}")


def _side(inventory: Inventory, file_bytes: int | None) -> dict[str, Any]:  # Any: JSON
    return {"nodes": inventory.nodes, **asdict(inventory), "file_bytes": file_bytes}


def _rewrite(rewrite: Rewrite) -> dict[str, Any]:  # Any: JSON
    return {
        "number": rewrite.number,
        "pass": rewrite.pass_name,
        "graph": rewrite.graph,
        "rule": rewrite.rule,
        "root": rewrite.root,
        "replaced": list(rewrite.replaced),
        "made": list(rewrite.made),
    }

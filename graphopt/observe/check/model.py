"""All that is found without running a pass: of the file, of types, of nodes, of weights."""

from __future__ import annotations

from graphopt.errors import ModelError
from graphopt.infer.model import infer_model
from graphopt.ir.model import Model
from graphopt.observe.check.file import of_checker, of_external_data, of_versions
from graphopt.observe.check.finding import Finding, sorted_by_kind
from graphopt.observe.check.nodes import of_nodes
from graphopt.observe.check.structure import of_structure
from graphopt.observe.check.weights import of_elements, of_storage
from graphopt.observe.observer import Observer


def findings_of(model: Model, *, weights: bool = False) -> list[Finding]:
    """What is to be known of a model, the worst first; its types are inferred. With `weights` every weight is read too.

    Load it with `check_external=False`, so that missing data are a finding. Linear in the nodes; nothing is run.
    """
    lost = [*of_external_data(model)]
    found = [*lost, *of_versions(model), *of_checker(model), *of_structure(model), *of_storage(model)]
    try:
        found += [*of_types(model), *of_nodes(model), *(of_elements(model) if weights else ())]
    except ModelError:  # small data that decide shapes
        if not lost:
            raise
    unknown = {name for one in found if one.about == "unknown-operator" for name in one.where}
    return sorted_by_kind(one for one in found if one.about != "invalid" or not one.where or not unknown.issuperset(one.where))


def of_types(model: Model) -> list[Finding]:
    """What the model declares otherwise than it comes out, and nodes that cannot be right."""
    heard = _Heard()
    infer_model(model, heard)
    return heard.findings


class _Heard(Observer):
    """Makes findings of what inference warns of: `%value: why`."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def warned(self, source: str, message: str) -> None:
        name, colon, _ = message.partition(": ")
        where = (name.split(" = ")[0].removeprefix("%"),) if colon and name.startswith("%") else ()
        about = "plug-in" if source == "plug-ins" else "types"
        self.findings.append(Finding("warning", about, message, where))

"""`graphopt stat`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphopt.cli.shared import plugin_option, python_warnings_told, refuse_text, registry_of, warn
from graphopt.cli.sizes import size_options, wishes_of

if TYPE_CHECKING:
    from rich.table import Table

    from graphopt.infer.freeze import Frozen
    from graphopt.ir.dim import Dim, Size
    from graphopt.ir.model import Model
    from graphopt.observe.cost import ModelCost, NodeCost

NO_PEAK = "nobody can say at which node without numbers for the sizes"
MOST_DEFAULTS = 4  # overridable initializers: models of IR version 3 have hundreds
SORTS = ["position", "macs", "bytes", "parameters", "name"]
EPILOG = """\b
graphopt stat model.onnx
graphopt stat model.onnx --freeze batch=1,seq=128
graphopt stat model.onnx --nodes --sort macs
"""


@click.command(epilog=EPILOG)
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path, readable=False))
@click.option("--nodes", "as_nodes", is_flag=True, help="List the nodes, with what each costs.")
@click.option("--sort", type=click.Choice(SORTS), help="The order of --nodes: as in the file, by name, or the greatest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all nodes.")
@click.option("--allow-outside", is_flag=True, help="External data may lie outside the folder of MODEL.")
@size_options
@plugin_option
def stat(
    model: Path, as_nodes: bool, sort: str | None, as_json: bool, allow_outside: bool, plugins: tuple[str, ...], **sizes: Any
) -> None:  # Any: what `size_options` give
    """Say what MODEL is and what it costs: operators, parameters, multiply-accumulates (MACs), bytes of weights and of activations.

    Nothing is run and no weight is read, so external data need not be there. What depends on sizes that are not known is an expression in
    their names; --freeze makes it a number. A FLOP is one operation on an element of any type: two for each MAC, and one for each element
    that an elementwise operator gives. Activations: what a runtime needs at least that runs node after node in the order of the file and
    writes nothing in place.
    """
    if sort is not None and not as_nodes:
        raise click.UsageError("--sort goes with --nodes")
    from graphopt.cli.progress import StatusLine
    from graphopt.observe.cost import cost_of

    registry_of(plugins)
    wishes = wishes_of(sizes)
    refuse_text(model)
    with StatusLine("counting", enabled=True), python_warnings_told(warn):
        loaded, frozen = prepared(model, wishes, allow_outside=allow_outside)
        found = cost_of(loaded)
    if as_json:
        click.echo(json.dumps(as_data(model, loaded, found, frozen), indent=2, ensure_ascii=False))
        return
    from graphopt.cli.tables import show

    show(*told(model, loaded, found), *([node_table(found, sort or "position")] if as_nodes else []), *notes(found))


def prepared(path: Path, wishes: Any, *, allow_outside: bool) -> tuple[Model, Frozen]:  # Any: Wishes, which cost start-up time
    """A model with its sizes frozen as wished, and types."""
    from graphopt import io
    from graphopt.cli.told import Told
    from graphopt.infer.freeze import freeze_dimensions
    from graphopt.infer.model import infer_model

    told = Told(warn)
    model = io.load(path, allow_outside=allow_outside, check_external=False)
    frozen = freeze_dimensions(model, wishes, told)
    infer_model(model, told)
    return model, frozen


def told(path: Path, model: Model, found: ModelCost) -> list[object]:
    """The screen, part by part."""
    return [heading(path, model), ports_table(model), operator_table(found), summary(found, path)]


def heading(path: Path, model: Model) -> str:
    """What the file is and where it comes from."""
    from graphopt.cli.tables import folded
    from graphopt.io.about import about
    from graphopt.observe.sizes import size

    known = about(model)
    producer = " ".join(filter(None, (known.producer, known.producer_version)))
    opsets = ", ".join(f"{domain} {version}".strip() for domain, version in sorted(opsets_of(model).items()))
    lines = [f"{path}   {size(path.stat().st_size)}"]
    lines.append(f"IR version {model.ir_version}, opset {opsets or 'none'}{f', made by {producer}' if producer else ''}")
    if model.functions:
        lines.append(f"local functions: {', '.join('.'.join(filter(None, key)) for key in model.functions)}")
    return "\n".join(map(folded, lines))


def opsets_of(model: Model) -> dict[str, int]:
    """Domain -> version, those that only functions import too."""
    return {**{name: version for each in model.functions.values() for name, version in each.opsets.items()}, **model.opsets}


def ports_table(model: Model) -> Table:
    """Inputs and outputs with their types."""
    from graphopt.cli.tables import prose

    graph = model.graph
    rows = [("input", value.name, _type(value)) for value in graph.inputs if not value.overridable]
    rows += [("default", value.name, _type(value)) for value in graph.inputs if value.overridable][:MOST_DEFAULTS]
    rows += [("output", name, _type(value)) for name, value in zip(graph.output_names, graph.outputs, strict=True)]
    left = sum(value.overridable for value in graph.inputs) - MOST_DEFAULTS
    if left > 0:
        rows.append(("default", f"({left} more)", "initializers that a caller may feed"))
    return prose(["", "name", "type"], rows)


def _type(value: Any) -> str:  # Any: a Value
    """A type as the model's callers know it: a size that has no name is a question mark."""
    from graphopt.observe.inventory import declared_text

    return declared_text(value.type)


def operator_table(found: ModelCost) -> Table:
    """Nodes, parameters and multiply-accumulates by operator."""
    from graphopt.cli.amounts import written
    from graphopt.cli.tables import prose
    from graphopt.observe.cost.work import Work

    rows: list[tuple[str, ...]] = []
    missing = {*found.total.unknown, *found.total.uncounted}
    for name, count in found.operators.items():
        work = found.total.works.get(name, Work(0, 0))
        cells = [written(amount) if amount else "?" if name in missing else "-" for amount in (work.macs, work.operations)]
        rows.append((name, str(count), *cells))
    rows.append(("all", str(sum(found.operators.values())), written(found.macs), written(found.operations)))
    return prose(["operator", "nodes", "MACs", "other FLOPs"], rows, numbers=("nodes", "MACs", "other FLOPs"))


def summary(found: ModelCost, path: Path) -> Table:
    """The totals."""
    from graphopt.cli.amounts import short, written
    from graphopt.cli.tables import prose
    from graphopt.observe.sizes import size

    weights = found.weights
    kinds = ", ".join(f"{name} {short(count)}" for name, count in weights.elements.items())
    places = [f"{size(weights.inside)} in the file"] if weights.inside or not weights.beside else []
    places += [f"{size(count)} in {_beside(each, path)}" for each, count in weights.beside.items()]
    order = sorted(found.memory.peaks, key=lambda peak: -at_one(peak.bytes, found))
    peaks = [f"{written(peak.bytes, size)} at {peak.node.op} {_label(peak.node)!r}" for peak in order]
    rows = [
        ("parameters", f"{short(weights.count)}{f' ({kinds})' if kinds else ''}"),
        ("weights", ", ".join(places)),
        ("MACs", _total(found.macs, found)),
        ("FLOPs", _total(found.flops, found)),
        ("activations", ("at least " if found.memory.unsized else "") + (peaks[0] if peaks else NO_PEAK)),
        *(("", f"or {peak}") for peak in peaks[1:]),
        ("longest path", f"{found.longest_path} nodes"),
    ]
    return prose(["", ""], rows)


def _total(amount: int | Dim, found: ModelCost) -> str:
    """A total, which may be a part of the whole."""
    from graphopt.cli.amounts import written

    if found.is_complete:
        return written(amount)
    return f"at least {written(amount)}" if amount != 0 else "not known"


def _beside(file: Path, model: Path) -> str:
    import os

    return os.path.relpath(file, model.parent.resolve())


def _label(node: Any) -> str:  # Any: a Node
    from graphopt.observe.trace import label

    return label(node)


def notes(found: ModelCost) -> list[str]:
    """What the numbers leave out, and what would help."""
    from graphopt.cli.tables import folded

    total, lines = found.total, list[str]()
    if total.unknown:
        why = "freezing sizes may help" if found.symbols else "data decide them, or operators that graphopt does not know"
        why += "; of the optimized model more may be known"
        lines.append(f"not in MACs and FLOPs, for their sizes are not known: {_counted(total.unknown)}; {why}")
    if total.uncounted:
        lines.append(f"not in MACs and FLOPs, for no formula counts them: {_counted(total.uncounted)}")
    if found.memory.unsized:
        lines.append(f"not in the activations: {found.memory.unsized} values whose bytes are not known before the model runs")
    if found.weights.sparse:
        lines.append(f"not in the parameters: {found.weights.sparse} sparse initializers")
    lines += total.notes
    if found.symbols:
        shown = ",".join(f"{name}=..." for name in found.symbols)
        lines.append(f"--freeze {shown} makes these numbers")
    return ["\n".join(map(folded, lines))] if lines else []


def _counted(operators: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(operators.items(), key=lambda item: -item[1]))


def ordered(found: ModelCost, sort: str) -> list[tuple[int, NodeCost]]:
    """The nodes with their positions, in the order asked for; by an amount that depends on sizes, as if each were 1."""
    rows = list(enumerate(found.nodes, 1))
    if sort == "name":
        return sorted(rows, key=lambda row: row[1].name)
    if sort == "position":
        return rows

    return sorted(rows, key=lambda row: -at_one(getattr(row[1], sort), found))


def at_one(amount: Size, found: ModelCost) -> int:
    """An amount as if each size that is not known were 1."""
    return 0 if amount is None else amount if isinstance(amount, int) else amount.evaluate(dict.fromkeys(found.symbols, 1))


def node_table(found: ModelCost, sort: str) -> Table:
    """A row for each node of the main graph and the graphs inside it."""
    from graphopt.cli.amounts import short, written
    from graphopt.cli.tables import prose
    from graphopt.observe.sizes import size

    rows = [
        (
            str(place), one.name, one.node.op, _types(one), short(one.parameters) if one.parameters else "-",
            "-" if one.macs == 0 else written(one.macs), "-" if one.bytes == 0 else written(one.bytes, size),
        )
        for place, one in ordered(found, sort)
    ]  # fmt: skip
    return prose(["#", "node", "operator", "gives", "parameters", "MACs", "bytes"], rows, numbers=("#", "parameters", "MACs", "bytes"))


def _types(one: NodeCost) -> str:
    return ", ".join(_type(value) for value in one.node.outputs if value.name)


def as_data(path: Path, model: Model, found: ModelCost, frozen: Frozen) -> dict[str, Any]:  # Any: JSON
    """All of it as plain data."""
    from graphopt.cli import amounts
    from graphopt.io.about import about

    known, graph, data = about(model), model.graph, amounts.as_data
    return {
        "file": str(path),
        "file_bytes": path.stat().st_size,
        "ir_version": model.ir_version,
        "opsets": opsets_of(model),
        "producer": {"name": known.producer, "version": known.producer_version},
        "domain": known.domain,
        "model_version": known.model_version,
        "metadata": dict(known.metadata),
        "functions": [".".join(filter(None, key)) for key in model.functions],
        "inputs": [{"name": value.name, "type": _type(value), "overridable": value.overridable} for value in graph.inputs],
        "outputs": [
            {"name": name, "type": _type(value)} for name, value in zip(graph.output_names, graph.outputs, strict=True)
        ],
        "frozen": {**frozen.names, **frozen.places},
        "dynamic": list(found.symbols),
        "operators": found.operators,
        "parameters": {"count": found.weights.count, "by_type": found.weights.elements, "sparse_initializers": found.weights.sparse},
        "weights": {
            "bytes": found.weights.bytes,
            "inside": found.weights.inside,
            "beside": {_beside(file, path): count for file, count in found.weights.beside.items()},
        },
        "macs": data(found.macs),
        "flops": data(found.flops),
        "complete": found.is_complete,
        "by_operator": {name: {"macs": data(work.macs), "other_flops": data(work.operations)} for name, work in found.total.works.items()},
        "unknown": dict(found.total.unknown),
        "uncounted": dict(found.total.uncounted),
        "notes": list(found.total.notes),
        "activations": {
            "peak_bytes": data(found.memory.most) if len(found.memory.peaks) == 1 else None,
            "peaks": [{"bytes": data(peak.bytes), "node": _label(peak.node), "operator": peak.node.op} for peak in found.memory.peaks],
            "unknown_values": found.memory.unsized,
        },
        "longest_path": found.longest_path,
        "nodes": [node_data(place, one) for place, one in enumerate(found.nodes, 1)],
    }  # fmt: skip


def node_data(place: int, one: NodeCost) -> dict[str, Any]:  # Any: JSON
    """One node as plain data."""
    from graphopt.cli.amounts import as_data as data

    return {
        "position": place,
        "name": one.name,
        "operator": one.node.op,
        "graph": one.graph,
        "outputs": [{"name": value.name, "type": _type(value)} for value in one.node.outputs if value.name],
        "parameters": one.parameters,
        "macs": data(one.macs),
        "other_flops": data(one.operations),
        "bytes": data(one.bytes),
    }

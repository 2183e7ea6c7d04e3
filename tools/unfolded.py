"""Which models keep a node though all they need is constant, and why: `python tools/unfolded.py FOLDER`.

Meant for onnx's node tests whose inputs were made initializers. What the law or the growth budget keeps is counted apart from what
could be folded; the share is that of models without any node among those that could.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import graphopt
from graphopt.ir import Graph, Node
from graphopt.observe.observer import Observer
from graphopt.schema import facts
from graphopt.schema.traits import CONTROL_FLOW, QUANTIZATION

# What a reason given by fold-constants contains -> what forbids the fold.
FORBIDDEN = {
    "are allowed": "growth budget",
    "more as one": "growth budget",
    "gives no tensor": "the result is no tensor",
    "lies outside of": "undefined result: an element lies outside of the type it is cast to",
    "holds graphs": "control flow: the operator holds graphs",
}


class Reasons(Observer):
    """What fold-constants said last of each operator."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def declined(self, source: str, node: Node, why: Any) -> None:
        if source == "fold-constants":
            self.of[node.op] = why()


def forbidden(node: Node, reasons: dict[str, str]) -> str | None:
    """Why a node must stay; None when it could have been folded, or waits for one that could."""
    if node.op in CONTROL_FLOW:
        return f"control flow: {node.op}"
    if node.op in QUANTIZATION:
        return "quantization structure"
    if facts.of_node(node) is None:
        return "unknown operator"
    if not facts.is_deterministic(node):
        return "random, or in training mode"
    said = reasons.get(node.op, "")
    return next((law for words, law in FORBIDDEN.items() if words in said), None)


def reason_of(graph: Graph, reasons: dict[str, str]) -> tuple[bool, str]:
    """Whether the law keeps the nodes, and in which words."""
    left = [node for inner in graph.walk() for node in inner if node.op != "Constant"]
    laws = dict.fromkeys(law for node in left if (law := forbidden(node, reasons)) is not None)
    if laws:
        return True, next(iter(laws))
    return False, "; ".join(dict.fromkeys(f"{node.op}: {reasons.get(node.op, 'not all of its operands became constant')}" for node in left))


def main(folder: Path) -> None:
    """Optimize every model of a folder and print what is left."""
    groups: dict[tuple[bool, str], list[str]] = defaultdict(list)
    folded = 0
    for path in sorted(folder.rglob("*.onnx")):
        reasons = Reasons()
        model = graphopt.optimize(path, observer=reasons)
        if any(node.op != "Constant" for inner in model.graph.walk() for node in inner):
            groups[reason_of(model.graph, reasons.of)].append(path.parent.name if path.stem == "model" else path.stem)
        else:
            folded += 1
    for (is_law, words), names in sorted(groups.items(), key=lambda item: (not item[0][0], -len(item[1]))):
        print(f"{len(names):4} {'forbidden' if is_law else 'FOLDABLE '}  {words}\n      {' '.join(names)}")
    missed = sum(len(names) for (is_law, _), names in groups.items() if not is_law)
    kept = sum(len(names) for (is_law, _), names in groups.items() if is_law)
    share = f"{folded / (folded + missed):.1%}" if folded + missed else "none"
    print(f"{folded} without a node, {kept} forbidden, {missed} missed: {share} of the foldable")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

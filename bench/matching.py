"""How long matching takes, in a fresh process: rules that match often and never fire, so that nothing but matching is measured.

    python bench/matching.py graphopt|onnxscript MODEL [RULES]
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.models import BINARY, UNARY

REPEATS = {"graphopt": 10, "onnxscript": 2}  # a model that takes seconds to match need not be matched ten times


def graphopt_rules(count: int) -> list[Any]:
    """`count` rules of two to four operators over those of the model; each declines, so that a match is never a rewrite."""
    from graphopt import op, rule, tensor

    source = random.Random(0)

    def pattern(depth: int) -> Any:
        if depth == 0 or (depth == 1 and source.random() < 0.3):
            return tensor(f"v{source.randrange(3)}")
        operator = source.choice((*UNARY, *BINARY))
        return getattr(op, operator)(*(pattern(depth - 1) for _ in range(2 if operator in BINARY else 1)))

    def rooted() -> Any:
        operator = source.choice((*UNARY, *BINARY))
        first = pattern(source.choice((1, 1, 2)))
        return getattr(op, operator)(first, tensor("w")) if operator in BINARY else getattr(op, operator)(first)

    return [rule(rooted(), name=f"generated-{number}")(_decline) for number in range(count)]


def _decline(m: Any) -> Any:
    return m.no("measured, not applied")


def with_graphopt(path: str, count: int) -> dict[str, object]:
    import graphopt
    from graphopt.infer import infer_model
    from graphopt.ir import Editor
    from graphopt.rewrite import apply_rules

    class Counted(graphopt.Observer):
        declined_times = 0

        def declined(self, source: str, node: Any, why: Callable[[], str]) -> None:
            self.declined_times += 1

    model = graphopt.load(path)
    infer_model(model, graphopt.Observer())
    rules = graphopt_rules(count)
    observer = Counted()
    repeats = REPEATS["graphopt"]
    seconds, rewrites = _timed(lambda: apply_rules(model.graph, rules, Editor(model), observer), repeats)
    return {"rules": count, "matches": observer.declined_times // (repeats + 1), "rewrites": rewrites, **seconds}


def with_onnxscript(path: str, count: int) -> dict[str, object]:
    del count
    import onnx_ir

    rewriter = importlib.import_module("onnxscript.rewriter")
    rules = rewriter.RewriteRuleSet(rewriter._DEFAULT_REWRITE_RULES)
    model = onnx_ir.load(path)
    seconds, rewrites = _timed(lambda: rules.apply_to_model(model), REPEATS["onnxscript"])
    return {"rules": len(rules.rules), "rewrites": rewrites, **seconds}


def _timed(work: Callable[[], int], repeats: int) -> tuple[dict[str, float], int]:
    """Seconds of the first time, which compiles, and of the quickest later one; and how many rewrites were made in all."""
    took, rewrites = [], 0
    for _ in range(repeats + 1):
        began = time.perf_counter()
        rewrites += work()
        took.append(time.perf_counter() - began)
    return {"first_s": took[0], "seconds": min(took[1:])}, rewrites


if __name__ == "__main__":
    run = {"graphopt": with_graphopt, "onnxscript": with_onnxscript}[sys.argv[1]]
    print(json.dumps(run(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 120)))

"""Does the order of passes matter? `python tools/orders.py` says where, on the small models that come with the tests.

Every pair of passes of level 1 runs to a fixpoint in both orders, wherever both change something, and the whole level in random orders. The
graphs must compute what the original computes, and be the same up to names; where they differ, the pair and the model are listed. The
exit status is 1 when something computes another thing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.sweeps.models import bundled
from tests.sweeps.orders import Task, all_orders
from tests.sweeps.workers import Lost, each


def main() -> int:
    """Run both sweeps over all models whose name contains a word."""
    parser = argparse.ArgumentParser(description="Compare the results of passes in different orders.")
    parser.add_argument("--only", default="", metavar="WORD", help="models whose name contains WORD")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="random orders of the level, for each model (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the random orders (default: 0)")
    options = parser.parse_args()
    began, models, found = time.monotonic(), 0, {"differs": 0, "wrong": 0}
    tasks = (Task(name, proto.SerializeToString(), options.rounds, options.seed) for name, proto in bundled() if options.only in name)
    for task, findings in each(all_orders, tasks):
        models += 1
        if isinstance(findings, Lost):
            print(f"LOST     {task.name}: {findings}", flush=True)
            continue
        for finding in findings:
            found[finding.kind] += 1
            print(finding, flush=True)
    seconds = time.monotonic() - began
    print(f"{models} models in {seconds:.0f} s: {found['wrong']} orders compute something else, {found['differs']} end in another graph")
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())

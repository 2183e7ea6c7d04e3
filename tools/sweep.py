"""Random pipelines over random models, for as long as you like: `python tools/sweep.py --minutes 60 --seed 1`.

A model comes from a rule's own pattern, a golden model, a case that trips optimizers or a graph of shape arithmetic, grown and joined with
others; a pipeline is of any passes with any options. What comes out must be valid, keep the signature, and compute the same within the
exactness of what changed it, for sizes of 0, 1, 2, 3 and more. A failure is printed with its seed, the fewest passes and the smallest
model that show it, each kind once. The exit status is 1 when there are any. `--seed N --count 1` runs one seed again.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.sweeps.random_pipelines import ORIGINAL, outcome
from tests.sweeps.workers import Lost, each


def main() -> int:
    """Run seeds until the time is up."""
    parser = argparse.ArgumentParser(description="Run random pipelines over random models.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--count", type=int, help="how many seeds at most")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes

    def seeds() -> Iterator[int]:
        for seed in itertools.islice(itertools.count(options.seed), options.count):
            if time.monotonic() > end:
                return
            yield seed

    models = pipelines = changed = lost = last = 0
    seen: Counter[tuple[str, str]] = Counter()
    for seed, found in each(outcome, seeds()):
        last = seed
        if isinstance(found, Lost):
            lost += 1
            if ORIGINAL not in str(found):
                print(f"seed {seed}: lost: {found}\n", flush=True)
            continue
        models += found.ran > 0
        pipelines += found.ran
        changed += found.changed
        for failure in found.failures:
            seen[failure.key] += 1
            if seen[failure.key] == 1:
                print(f"{failure}\n", flush=True)
    for (kind, pipeline), times in seen.most_common():
        print(f"{times:5} times {kind}: -p '{pipeline}'")
    print(
        f"seeds {options.seed} to {last}: {models} models, {pipelines} pipelines, {changed} changed something, {sum(seen.values())} failed"
        f" in {len(seen)} ways; {lost} models took the process with them"
    )
    return 1 if seen else 0


if __name__ == "__main__":
    sys.exit(main())

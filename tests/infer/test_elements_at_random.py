"""Random graphs of shape arithmetic: wherever types or contents claim something, onnxruntime agrees, for sizes of 0 and 1 too."""

from __future__ import annotations

import os

import pytest

from tests.infer.shape_graphs import Tally, check


def run(first: int, count: int) -> Tally:
    tally = Tally()
    for seed in range(first, first + count):
        check(seed, tally)
    return tally


def test_what_is_known_of_random_graphs_is_true() -> None:
    pytest.importorskip("onnxruntime")
    tally = run(0, 100)
    assert not tally.differences
    assert tally.runs > 150 and tally.facts > 5000  # the graphs do run, and much is known of them


@pytest.mark.slow
def test_what_is_known_of_many_random_graphs_is_true() -> None:
    """SHAPE_GRAPHS=10000 SHAPE_SEED=1000 pytest -m slow: as many graphs, from that seed on."""
    pytest.importorskip("onnxruntime")
    tally = run(int(os.environ.get("SHAPE_SEED", "1000")), int(os.environ.get("SHAPE_GRAPHS", "2000")))
    assert not tally.differences

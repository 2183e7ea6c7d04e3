"""Loading and writing with no pass in between gives the same message, field for field."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from graphopt.io import load, save, to_proto
from graphopt.ir import verify

DATA = Path(__file__).parent.parent / "data"
SUITE = Path(onnx.__file__).parent / "backend/test/data"
MODELS = sorted([*SUITE.rglob("*.onnx"), *(DATA / "cases").rglob("*.onnx")])
SKELETONS = sorted((DATA / "io").glob("*.onnx"))


def parsed(path: Path) -> onnx.ModelProto:
    return onnx.load(path, load_external_data=False)


def test_there_are_models_to_look_at() -> None:
    assert len(MODELS) > 200
    assert len(SKELETONS) == 7


@pytest.mark.parametrize("path", MODELS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_file_comes_back_as_a_message_and_as_a_file(path: Path, tmp_path: Path) -> None:
    model = load(path)
    verify(model)
    before = parsed(path)
    assert to_proto(model) == before
    save(model, tmp_path / "out.onnx")
    assert parsed(tmp_path / "out.onnx") == before


@pytest.mark.parametrize("path", SKELETONS, ids=lambda path: path.stem)
def test_models_whose_weights_are_missing_come_back_as_well(path: Path) -> None:
    model = load(path, check_external=False)
    verify(model)
    assert to_proto(model) == parsed(path)


@pytest.mark.parametrize("path", SKELETONS, ids=lambda path: path.stem)
def test_a_message_comes_back_and_is_not_changed(path: Path) -> None:
    before = parsed(path)
    given = parsed(path)
    assert to_proto(load(given)) == before
    assert given == before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning:onnx.backend")  # the suite computes overflows on purpose
def test_all_node_tests_come_back() -> None:
    """Slow because the suite computes all its expected outputs before it shows a model."""
    from onnx.backend.test.case.node import collect_testcases

    models = [(case.name, case.model) for case in collect_testcases(None) if case.model is not None]
    assert len(models) > 1500
    for name, before in models:
        for source in (before, before.SerializeToString()):
            model = load(source)
            verify(model)
            assert to_proto(model) == before, name
        load(to_proto(model, weights=False))

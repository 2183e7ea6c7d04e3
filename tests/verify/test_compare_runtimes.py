"""What a runtime cannot know is no difference, and what it says begins with what is wrong."""

from __future__ import annotations

import pytest

from graphopt.verify import Verdict, compare, comparison
from graphopt.verify.runners import CannotRun, OnnxRuntime, Reference, Session, one_line
from graphopt.verify.source import Subject
from tests.verify.test_compare import model


class TooOld:
    """onnxruntime as it was before some opset."""

    name = "old runtime"

    def open(self, subject: Subject) -> Session:
        if max(entry.version for entry in subject.proto().opset_import) > 20:
            raise CannotRun("opset 21 is not known")
        return OnnxRuntime().open(subject)


@pytest.mark.parametrize(("body", "verdict"), [("y = Relu(x)", Verdict.EQUAL), ("y = Neg(x)", Verdict.DIFFERENT)])
def test_a_result_that_is_newer_than_the_runtime(monkeypatch: pytest.MonkeyPatch, body: str, verdict: Verdict) -> None:
    before = model("g (float[N] x) => (float[N] y) { y = Relu(x) }", opset=20)
    after = model(f"g (float[N] x) => (float[N] y) {{ {body} }}", opset=21)
    offered = {"auto": [TooOld(), Reference()], "reference": [Reference()], "onnxruntime": [TooOld()]}
    monkeypatch.setattr(comparison, "runners", offered.__getitem__)
    found = compare(before, after)
    assert found.verdict is verdict
    assert found.runner.startswith("onnx.reference")
    assert found.notes[0] == "old runtime does not load the result, which is of opset 21: opset 21 is not known"
    alone = compare(before, after, runner="onnxruntime")
    assert alone.verdict is Verdict.NOT_CHECKED
    assert alone.outputs[0].why == found.notes[0]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("/a/b.cc:256 void f(const std::vector<int>&, g (*)(int)) const [with T = int] Unknown opset (28).", "Unknown opset (28)."),
        ("Load model from x failed:/a/b.cc:1 f() Bad model", "Load model from x failed:Bad model"),
        ("/a/b.cc:1 f()", "/a/b.cc:1 f()"),
        ("Load model from x(1).onnx failed", "Load model from x(1).onnx failed"),
    ],
)
def test_errors_begin_with_what_is_wrong(said: str, left: str) -> None:
    assert one_line(ValueError(said)) == f"ValueError: {left}"

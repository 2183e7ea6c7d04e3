"""Names that an output cannot have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx.parser
import pytest

Command = Callable[..., int]


@pytest.mark.parametrize("words", [("graphopt", "optimize"), ("onnx-opt",), ("graphopt", "reduce", "--keep", "false")])
def test_a_name_that_only_a_folder_can_have(
    words: tuple[str, ...], command: Command, opt: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '<ir_version: 10, opset_import: ["": 21]> m (float[2] x) => (float[2] y) { y = Relu(x) }'
    onnx.save(onnx.parser.parse_model(text), "model.onnx")
    run = opt if words[0] == "onnx-opt" else command
    assert run(*words[1:], "model.onnx", "-o", "out/") == 2
    assert "out/ is the name of a folder; give that of a file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]

"""Models that a runtime must not be given."""

from __future__ import annotations

import onnx.parser
import pytest

from graphopt.verify.runners import CannotRun
from graphopt.verify.selfcheck.running import engines, open_session
from tests.passes.models import needs_onnxruntime


@needs_onnxruntime
@pytest.mark.parametrize(("size", "runs"), [(0, False), (3, True)])
def test_a_normalization_of_nothing_ends_the_process(size: int, runs: bool) -> None:
    model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 22]>
        g (float[2,2,{size}] x) => (float[2,2,{size}] y) <float[2] unit = {{1, 1}}, float[2] zero = {{0, 0}}> {{
        y = InstanceNormalization(x, unit, zero) }}""")
    engine = next(each for each in engines() if type(each).__name__ != "Reference")
    if runs:
        open_session(engine, model)
    else:
        with pytest.raises(CannotRun, match="onnxruntime would end the process"):
            open_session(engine, model)

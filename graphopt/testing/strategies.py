"""Random models, for hypothesis."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import onnx.parser
from onnx import ModelProto

from graphopt import io
from graphopt.errors import GraphoptError
from graphopt.infer.model import infer_model
from graphopt.io.text import text_of
from graphopt.ir import Editor
from graphopt.match.rule import Rule
from graphopt.testing.growing import GROWTHS, CannotGrow, Soil
from graphopt.testing.missing import missing
from graphopt.verify.selfcheck.instantiate import CannotInstantiate
from graphopt.verify.selfcheck.sampling import random_sample
from graphopt.verify.selfcheck.validity import Invalid, check

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

OPSETS = (20, 21, 18, 17, 13)  # what most models have first: hypothesis shrinks to that
# What is smallest comes first, as above. (shape of x, further inputs and weights, shape of y, nodes)
BASES = (
    ("2,3", "", "2,3", "y = Relu(x)"),
    ("N,3", ", {0}[N,3] z", "N,3", "s = Add(x, z)  y = Mul(s, x)"),
    ("N,4", ", {0}[4,3] w, {0}[3] b", "N,3", "t = MatMul(x, w)  y = Add(t, b)"),
    ("N,2,3", "", "N,2,3", "t = Transpose<perm = [0, 2, 1]>(x)  s = Softmax<axis = 1>(t)  y = Transpose<perm = [0, 2, 1]>(s)"),
    ("1,2,4,W", ", {0}[3,2,1,1] w", "1,3,4,W", "t = Conv(x, w)  y = Sigmoid(t)"),
)


def models(*rules: Rule, most: int = 8) -> SearchStrategy[str]:
    """A hypothesis strategy of small valid models, as text that every function of `graphopt.testing` takes; `parse` makes a message of it.

        @given(models(my_rule))
        def test_right_everywhere(model: str) -> None:
            assert_same(model, optimized(model, "my-pass"), must_decide=False)

    Given rules, the models have in them what these look for, and in most of them it is left whole. The model is grown by up to `most`
    steps: operators in between, neutral operands, movements and back, casts, copies of nodes, second readers, inner outputs. Sizes are
    numbers or symbols, floats of 16 to 64 bits, opsets 13 to 21. Values may overflow: what rounding alone moves far cannot be decided.

    Raises ImportError when hypothesis is missing.
    """
    try:
        from hypothesis import reject
        from hypothesis import strategies as st
    except ImportError as error:
        raise missing("models", "hypothesis") from error

    @st.composite
    def draw_model(draw: st.DrawFn) -> str:
        steps, is_whole = draw(st.integers(0, most)), draw(st.sampled_from((True, True, False)))
        random = draw(st.randoms(use_true_random=False))
        try:
            base = random_sample(random.choice(rules), random).model if rules else _base(random)
            return _as_text(_grown(base, random, steps, is_whole=bool(rules) and is_whole))
        except (CannotInstantiate, GraphoptError, Invalid):
            reject()

    return draw_model()


def _base(random: Random) -> ModelProto:
    """A model of one to three nodes."""
    shape, more, result, nodes = random.choice(BASES)
    dtype = random.choice(("float", "double", "float16"))
    header = f'<ir_version: 8, opset_import: ["" : {random.choice(OPSETS)}]>'
    return onnx.parser.parse_model(f"{header} g ({dtype}[{shape}] x{more.format(dtype)}) => ({dtype}[{result}] y) {{ {nodes} }}")


def _grown(base: ModelProto, random: Random, steps: int, *, is_whole: bool) -> ModelProto:
    """The model after some steps; with `is_whole` they leave alone what it was to begin with."""
    model = io.load(base)
    infer_model(model)
    whole = frozenset(model.graph) if is_whole else frozenset()
    for _ in range(steps):
        with suppress(CannotGrow):
            random.choice(GROWTHS)(Soil(model, Editor(model), random, whole))
            infer_model(model, again=True)
    grown: ModelProto = io.to_proto(model)
    return grown


def _as_text(proto: ModelProto) -> str:
    """The model as text, if it is valid and nothing of it is lost. Raises Invalid."""
    check(proto)
    text = text_of(proto)
    try:
        back = onnx.parser.parse_model(text)
    except onnx.parser.ParseError as error:
        raise Invalid("text cannot say it") from error
    check(back)
    return text

"""Qs of one tensor that a runtime makes one: which stays, and that finding them is linear in their number."""

from __future__ import annotations

from typing import Any

import onnx.parser
import pytest

import graphopt
from graphopt.infer.model import infer_model
from graphopt.passes.targets import ONNXRUNTIME_CPU_X64
from graphopt.quantization import Quantization
from graphopt.runtimes.preparation import merge_quantizers
from graphopt.runtimes.remaining import outlook
from graphopt.runtimes.seen import Seen

HEAD = '<ir_version: 10, opset_import: ["" : 21]> '
PARAMETERS = "<float s = {0.5}, uint8 z = {0}, uint8 k = {0}>"


def merged(results: str, body: str) -> tuple[list[str], dict[str, str]]:
    """The Qs that stay, and what each reader of one reads then."""
    loaded = graphopt.load(onnx.parser.parse_model(f"{HEAD} g (bool which, float[4] x) => ({results}) {PARAMETERS} {{ {body} }}"))
    infer_model(loaded)
    seen = Seen(loaded.graph)
    merge_quantizers(seen)
    read = {step.output.name: edge.name for step in seen if step.is_dequantize and (edge := step.input(0)) is not None}
    return [step.output.name for step in seen if step.is_quantize], read


def test_the_first_stays_of_those_with_one_zero_point() -> None:
    body = """a = QuantizeLinear(x, s, z) b = QuantizeLinear(x, s, k) c = QuantizeLinear(x, s, z)
        d = DequantizeLinear(a, s, z) e = DequantizeLinear(b, s, k) f = DequantizeLinear(c, s, z)"""
    assert merged("float[4] d, float[4] e, float[4] f", body) == (["a", "b"], {"d": "a", "e": "b", "f": "a"})


def test_one_that_is_an_output_stays_instead() -> None:
    body = """a = QuantizeLinear(x, s, z) b = QuantizeLinear(x, s, z) c = QuantizeLinear(x, s, z)
        d = DequantizeLinear(a, s, z) e = DequantizeLinear(b, s, z) f = DequantizeLinear(c, s, z)"""
    assert merged("uint8[4] b, uint8[4] c, float[4] d, float[4] e, float[4] f", body) == (["b", "c"], {"d": "b", "e": "b", "f": "c"})


def test_one_that_a_subgraph_reads_stays_as_well() -> None:
    body = """a = QuantizeLinear(x, s, z) b = QuantizeLinear(x, s, z) c = QuantizeLinear(x, s, z)
        d = DequantizeLinear(b, s, z) e = DequantizeLinear(c, s, z)
        y = If (which) < then_branch = t () => (float[4] p) { p = DequantizeLinear(a, s, z) },
            else_branch = u () => (float[4] q) { q = Sin(x) } >"""
    assert merged("float[4] d, float[4] e, float[4] y", body) == (["a", "b"], {"d": "b", "e": "b"})


def read_keys(count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often parameters are compared or looked up, of so many Qs of one tensor with zero points of their own."""
    zeros = ", ".join(f"uint8 z{place} = {{{place}}}" for place in range(count))
    body = " ".join(
        f"q{place} = QuantizeLinear(r, s, z{place}) d{place} = DequantizeLinear(q{place}, s, z{place}) y{place} = Sin(d{place})"
        for place in range(count)
    )
    results = ", ".join(f"float[4] y{place}" for place in range(count))
    text = f"{HEAD} g (float[4] x) => ({results}) <float s = {{0.5}}, {zeros}> {{ r = Relu(x) {body} }}"
    loaded = graphopt.load(onnx.parser.parse_model(text))
    infer_model(loaded)
    reads = []
    key: Any = Quantization.key  # Any: the property, where a type checker sees what it gives

    def counting(quantization: Quantization) -> tuple[object, ...]:
        reads.append(quantization)
        found: tuple[object, ...] = key.fget(quantization)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Quantization, "key", property(counting))
        outlook(loaded, ONNXRUNTIME_CPU_X64.wants)
    return len(reads)


def test_it_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (read_keys(count, monkeypatch) for count in (20, 200))
    assert many <= 10 * few

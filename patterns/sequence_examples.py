"""Models on which the rules for sequences and optionals prove themselves: no generator makes inputs that are no tensors."""

from __future__ import annotations

from collections.abc import Callable

HELD = "<int64 zero = {0}, int64 one = {1}, int64 last = {-1}, int64[2] sizes = {1, 3}>"


def models(outputs: str, *bodies: str, opsets: tuple[int, ...] = (11, 13, 20)) -> Callable[[], list[str]]:
    """One model for each body, of x: (4, 2) and z: (4, 2), and each opset."""

    def texts() -> list[str]:
        return [
            f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[4,2] x, float[4,2] z) => ({outputs}) {HELD} {{ {body} }}'
            for opset in opsets
            for body in bodies
        ]

    return texts

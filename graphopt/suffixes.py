"""How files of models are called. A module of its own, because commands ask before they import anything heavy."""

from __future__ import annotations

from typing import Final

TEXT: Final = (".onnxtxt", ".onnxtext", ".txt")  # of models as text, in ONNX's own syntax

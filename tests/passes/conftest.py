"""onnx's own node tests, for the passes that are tried on all of them."""

from tests.infer.conftest import node_tests

__all__ = ["node_tests"]

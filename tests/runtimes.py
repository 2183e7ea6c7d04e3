"""Which onnxruntime and onnx the tests meet: older ones are wrong, or crash, on calls that the newer ones take."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _is_below(package: str, *wanted: int) -> bool:
    try:
        found = version(package)
    except PackageNotFoundError:
        return False
    return tuple(map(int, found.split(".")[:2])) < wanted


HAS_OLD_RUNTIME = _is_below("onnxruntime", 1, 24)
# What passes/targets.py says of onnxruntime is so from here on; older ones ask less before they fuse.
IS_BEFORE_TARGETS = _is_below("onnxruntime", 1, 31)
PRINTS_SIX_DIGITS = _is_below("onnx", 1, 23)  # of each number: what onnx prints and reads again is another model

"""Which onnxruntime the tests meet: older ones are wrong, or crash, on calls that the newer ones take."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _is_below(*wanted: int) -> bool:
    try:
        found = version("onnxruntime")
    except PackageNotFoundError:
        return False
    return tuple(map(int, found.split(".")[:2])) < wanted


HAS_OLD_RUNTIME = _is_below(1, 24)
IS_BEFORE_TARGETS = _is_below(1, 31)  # what passes/targets.py says of onnxruntime is so from here on; older ones ask less before they fuse

"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.runtimes import HAS_OLD_RUNTIME

settings.register_profile("no clock", deadline=None)  # a test that fails on a busy machine says nothing of the code
settings.load_profile("no clock")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip what meets a kernel that an older onnxruntime lacks: nothing can be compared there."""
    try:
        return (yield)
    except Exception as error:  # onnxruntime's own class, which is only there where onnxruntime is
        if HAS_OLD_RUNTIME and type(error).__name__ == "NotImplemented":
            pytest.skip(f"an older onnxruntime: {str(error).partition(' node')[0]}")
        raise

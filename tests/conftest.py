"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no clock", deadline=None)  # a test that fails on a busy machine says nothing of the code
settings.load_profile("no clock")

"""What the operating systems that graphopt runs on do not all have."""

from __future__ import annotations

import os

import pytest

# Windows has no named pipes in its file system: a file there is never one, and graphopt asks the path, not the system.
needs_named_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")

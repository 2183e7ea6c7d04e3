"""A run that is killed leaves the old output or the new one, whole, whatever it was doing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from graphopt.io import load, save
from tests.io import protos

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no signal that cannot be caught")

# Counts every call into the system that writes or names a file, and dies at the one that it was told.
CHILD = """
import os, signal, sys, time
from pathlib import Path
from graphopt.io import load, save

source, target, is_external, last = sys.argv[1], sys.argv[2], sys.argv[3] == "True", int(sys.argv[4])
model = load(source)
calls = 0

def counted(function):
    def call(*arguments, **more):
        global calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **more)
    return call

if last >= 0:
    for name in ("open", "write", "fsync", "copy_file_range", "sendfile", "link", "unlink", "replace", "rename"):
        if hasattr(os, name):
            setattr(os, name, counted(getattr(os, name)))
save(model, target, external_data=is_external)
if last < 0:  # it is killed from outside, at any time
    print("saved", flush=True)
    while True:
        save(model, target, external_data=is_external)
print(calls)
"""


def filled(path: Path, content: float) -> Path:
    """A model of 3 MiB, all of whose weights are this number."""
    message = protos.big(3)
    for tensor in message.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(np.full((512, 512), content, np.float32), tensor.name))
    onnx.save(message, path)
    return path


def content_of(path: Path) -> float:
    """The one number in a model that must be whole: onnx and graphopt read the same."""
    message = onnx.load(path)
    found = {float(number) for tensor in message.graph.initializer for number in np.unique(numpy_helper.to_array(tensor))}
    tensors = [held.tensor for held in load(path).graph.initializers.values() if held.tensor is not None]
    ours = {float(number) for tensor in tensors for number in np.unique(tensor.numpy())}
    assert len(message.graph.initializer) == 3
    assert found == ours
    assert len(found) == 1
    return found.pop()


def run(new: Path, target: Path, is_external: bool, last: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(new), str(target), str(is_external), str(last)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def step_through(tmp_path: Path, is_external: bool, steps: range) -> int:
    """Kill at each of these calls; say how many runs were killed."""
    old, new, target = filled(tmp_path / "old.onnx", 1.0), filled(tmp_path / "new.onnx", 2.0), tmp_path / "out.onnx"
    killed = 0
    for last in steps:
        save(load(old), target, external_data=is_external)
        done = run(new, target, is_external, last)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        if done.returncode:
            killed += 1
        content = content_of(target)
        assert content == 2.0 if not done.returncode else content in (1.0, 2.0)
    save(load(old), target, external_data=is_external)
    assert not list(tmp_path.glob(".*.tmp"))  # what the dead left was swept away
    return killed


@pytest.mark.parametrize("is_external", [False, True], ids=["one file", "two files"])
def test_killed_at_telling_moments(tmp_path: Path, is_external: bool) -> None:
    assert step_through(tmp_path, is_external, range(1, 11, 3) if is_external else range(1, 6, 2)) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("is_external", [False, True], ids=["one file", "two files"])
def test_killed_at_every_call(tmp_path: Path, is_external: bool) -> None:
    target = tmp_path / "out.onnx"
    filled(tmp_path / "new.onnx", 2.0)
    save(load(filled(tmp_path / "old.onnx", 1.0)), target, external_data=is_external)
    calls = int(run(tmp_path / "new.onnx", target, is_external, 0).stdout)
    assert step_through(tmp_path, is_external, range(1, calls + 1)) == calls


@pytest.mark.slow
@pytest.mark.parametrize("is_external", [False, True], ids=["one file", "two files"])
def test_killed_at_any_time(tmp_path: Path, is_external: bool) -> None:
    """A run that saves again and again is killed after 0, 1, 2 ... milliseconds, often."""
    old, new, target = filled(tmp_path / "old.onnx", 1.0), filled(tmp_path / "new.onnx", 2.0), tmp_path / "out.onnx"
    save(load(old), target, external_data=is_external)
    for milliseconds in range(20):
        command = [sys.executable, "-c", CHILD, str(new), str(target), str(is_external), "-1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(milliseconds / 1000)
            child.kill()
        assert content_of(target) == 2.0

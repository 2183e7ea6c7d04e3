"""One measurement is one fresh process: wall time, peak resident memory, and what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer


@dataclass(frozen=True)
class Run:
    """What one process took. `inside_s` and `import_s` are what it measured itself, if it did; `error` says why it failed."""

    wall_s: float
    rss_mb: float
    inside_s: float | None
    import_s: float | None
    said: dict[str, object]
    error: str = ""


def run(command: Sequence[str], folder: Path, timeout: float = 600) -> Run:
    """Run a command to its end. Peak memory is the kernel's count for the process (wait4), which starts at this driver's own few MB."""
    with (folder / "out.txt").open("w+") as out, (folder / "err.txt").open("w+") as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        timer = Timer(timeout, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)  # wait4 has reaped it; Popen must not wait again
        out.seek(0)
        err.seek(0)
        said = _last_record(out.read())
        error = ""
        if process.returncode:
            lines = err.read().strip().splitlines() or [""]
            how = f"took more than {timeout:g} s" if wall >= timeout else f"exit status {process.returncode}"
            error = f"{how}: {lines[-1][:200]}"
    inside, imported = said.get("seconds"), said.get("import_s")
    return Run(
        wall,
        usage.ru_maxrss / 1024,
        inside if isinstance(inside, float) else None,
        imported if isinstance(imported, float) else None,
        said,
        error,
    )


def _last_record(text: str) -> dict[str, object]:
    """The last line that is a JSON object: libraries print on stdout too."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            try:
                found: object = json.loads(line)
            except ValueError:
                continue
            return found if isinstance(found, dict) else {}
    return {}

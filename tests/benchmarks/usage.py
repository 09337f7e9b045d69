"""What a process has used, as Linux tells it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Bytes resident now, and at most since `forget_peak`; seconds of processor time. Elsewhere zeros."""

    memory: int = 0
    peak: int = 0
    processor: float = 0.0


def usage(pid: int | str = "self") -> Usage:
    # Not getrusage: its maximum outlives exec, so that a child would be blamed for its parent.
    folder = Path("/proc") / str(pid)
    try:
        status, times = (folder / "status").read_text(), (folder / "stat").read_text()
    except OSError:
        return Usage()
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE))
    # proc_pid_stat(5): the 14th and 15th field, counted behind the name, which may hold anything.
    user, system = times.rpartition(")")[2].split()[11:13]
    return Usage(
        memory=int(found["VmRSS"]) * 1024,
        peak=int(found["VmHWM"]) * 1024,
        processor=(int(user) + int(system)) / os.sysconf("SC_CLK_TCK"),
    )


def forget_peak(pid: int | str = "self") -> None:
    """Makes the present memory the peak, so that what came before is not blamed on what comes now."""
    # proc_pid_clear_refs(5): 5 resets VmHWM. Where that is not allowed, the peak is since the process began.
    with suppress(OSError):
        (Path("/proc") / str(pid) / "clear_refs").write_text("5")

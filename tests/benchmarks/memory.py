"""What a process holds in memory, as Linux tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes resident now, and at most since the process began; zeros where the system does not tell."""

    now: int = 0
    peak: int = 0


def memory(pid: int | str = "self") -> Memory:
    # Not getrusage: its maximum outlives exec, so that a child would be blamed for its parent.
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return Memory()
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE))
    return Memory(now=int(found["VmRSS"]) * 1024, peak=int(found["VmHWM"]) * 1024)

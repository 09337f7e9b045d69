"""What the figures were made on: seconds mean nothing without it."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

PACKAGES = ("Django", "django-import-export", "diffsync")


def described() -> dict[str, str]:
    """Processor, memory, system and versions; no names of the machine."""
    model = _found("/proc/cpuinfo", r"^model name\s*: (.+)$") or platform.machine()
    kilobytes = int(_found("/proc/meminfo", r"^MemTotal:\s*(\d+)") or 0)
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "memory": f"{kilobytes / 1e6:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _found(path: str, pattern: str) -> str:
    try:
        text = Path(path).read_text()
    except OSError:
        return ""
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else ""

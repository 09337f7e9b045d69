"""The two environments: what each is called, and where it keeps its things."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / "demo" / ".state"
# A directory that has this file is the demo's own: only there does a reset remove anything.
MARKER = "data-sync-demo.json"
# Where `--once` works, so that it leaves alone what somebody tries by hand.
ONCE = "once"
# Held, not only there, while a demo runs: whatever becomes of the process, the system lets go of it.
LOCK = "running.lock"
Name = Literal["staging", "production"]
NAMES: tuple[Name, Name] = ("staging", "production")
# Not one zone, so that times are seen to arrive as the moments they are.
TIME_ZONES: dict[Name, str] = {"staging": "Europe/Berlin", "production": "UTC"}
DEFAULT_PORTS: dict[Name, int] = {"staging": 8701, "production": 8702}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment below a state directory. `port` is where its server listens, or will."""

    name: Name
    state: Path
    port: int
    peer_port: int

    @property
    def peer(self) -> Name:
        return "production" if self.name == "staging" else "staging"

    @property
    def directory(self) -> Path:
        return self.state / self.name

    @property
    def database(self) -> Path:
        return self.directory / "database.sqlite3"

    @property
    def media(self) -> Path:
        return self.directory / "media"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def secret_key(self) -> Path:
        return self.directory / "secret-key"

    @property
    def audit_key(self) -> Path:
        return self.directory / "audit-key"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def peer_url(self) -> str:
        return f"http://127.0.0.1:{self.peer_port}"

    def variables(self) -> dict[str, str]:
        """The process environment that makes `demo.settings` this environment."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "demo.settings",
            "DEMO_ENVIRONMENT": self.name,
            "DEMO_DIR": str(self.state),
            "DEMO_PORT": str(self.port),
            "DEMO_PEER_URL": self.peer_url,
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
        }

    def make(self) -> None:
        """Makes the directory, and keys of its own that stay with the database."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for key in (self.secret_key, self.audit_key):
            if not key.exists():
                key.write_text(token_urlsafe(50))
                key.chmod(0o600)


def pair(state: Path, staging_port: int, production_port: int) -> tuple[Environment, Environment]:
    """Staging and production below one state directory."""
    return (
        Environment(name="staging", state=state, port=staging_port, peer_port=production_port),
        Environment(name="production", state=state, port=production_port, peer_port=staging_port),
    )


def require_own(state: Path) -> None:
    """Raises `SystemExit` for a directory with things in it that are not the demo's."""
    own = (ONCE, LOCK)
    if not (state / MARKER).is_file() and state.exists() and any(path.name not in own for path in state.iterdir()):
        raise SystemExit(f"{state} holds things that are not the demo's. Name another directory with --dir.")


def reset(state: Path) -> None:
    """Removes what an earlier demo left in `state`, and nothing that it did not make.

    Raises `SystemExit` for a directory with other things in it.
    """
    require_own(state)
    if (state / MARKER).is_file():
        for name in NAMES:
            shutil.rmtree(state / name, ignore_errors=True)
        (state / MARKER).unlink()


@contextlib.contextmanager
def only_one(state: Path) -> Iterator[bool]:
    """Whether no other process is in such a block with this directory; none will be while this one is."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / LOCK).open("a") as file:
        yield _locked(file.fileno())


def _locked(descriptor: int) -> bool:
    """Takes the lock of an open file, until it is closed; False where another process has it."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network drives have no locks: that is no reason against a demo.
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True

"""The two environments: what each is called, and where it keeps its things."""

from __future__ import annotations

import os
import shutil
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
Name = Literal["staging", "production"]
NAMES: tuple[Name, Name] = ("staging", "production")
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
        """Makes the directory, and a secret key of its own that stays with the database."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.secret_key.exists():
            self.secret_key.write_text(token_urlsafe(50))
            self.secret_key.chmod(0o600)


def pair(state: Path, staging_port: int, production_port: int) -> tuple[Environment, Environment]:
    """Staging and production below one state directory."""
    return (
        Environment(name="staging", state=state, port=staging_port, peer_port=production_port),
        Environment(name="production", state=state, port=production_port, peer_port=staging_port),
    )


def reset(state: Path) -> None:
    """Removes what an earlier demo left in `state`, and nothing that it did not make.

    Raises `SystemExit` for a directory with other things in it.
    """
    if (state / MARKER).is_file():
        for name in NAMES:
            shutil.rmtree(state / name, ignore_errors=True)
        (state / MARKER).unlink()
    elif state.exists() and any(path.name != ONCE for path in state.iterdir()):
        raise SystemExit(f"{state} holds things that are not the demo's. Name another directory with --dir.")

"""``python -m tests.pulling PULL MOMENT FOLDER``: a worker that stops for good at a moment of its pull.

Spools into the folder. Says ``paused`` at the moment, so that the test can kill it.
"""

from __future__ import annotations

import sys
from typing import Any


def pause(*_: Any, **__: Any) -> None:
    print("paused", flush=True)
    sys.stdin.read()


def main(number: str, moment: str, folder: str) -> None:
    import django

    django.setup()

    from django.conf import settings

    from data_sync.services import both_sides, pull, pulling

    settings.DATA_SYNC_SPOOL_DIR = folder
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    match moment:
        case "listed":
            both_sides.BothSides._compare = pause
        case "read":
            both_sides.BothSides.comparison = pause
        case "described":
            pulling.store_changeset = pause
        case "stored":
            pulling.supersede = pause
    pull.run_pull(int(number))


if __name__ == "__main__":
    main(*sys.argv[1:])

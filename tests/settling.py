"""``python -m tests.settling CHANGESET MOMENT``: a worker that is killed while it settles a changeset."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(changeset: str, moment: str) -> None:
    import django

    django.setup()

    from data_sync import tasks
    from data_sync.services import auto_apply

    match moment:
        case "taken":
            auto_apply.facts_of = die
        case "accepted":
            auto_apply.approve_and_request = die
        case "approved":
            approve = auto_apply._approve

            def approve_and_die(*given: Any) -> None:
                approve(*given)
                die()

            auto_apply._approve = approve_and_die
        case "decided":
            tasks.run_apply = die
    tasks.run("apply", int(changeset))


if __name__ == "__main__":
    main(*sys.argv[1:])

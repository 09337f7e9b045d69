from __future__ import annotations

import itertools
import os
import signal
import threading
from typing import Any

from django.apps import AppConfig

#: "pull" or "apply", in a worker that is to stop in the middle of one.
MOMENT = "DATA_SYNC_TEST_STOP_IN"
#: The number of the file that it says "stopped" to.
PIPE = "DATA_SYNC_TEST_PIPE"


class StoppingConfig(AppConfig):
    name = "tests.workers.stopping"

    def ready(self) -> None:
        if PIPE in os.environ:
            threading.Thread(target=end_with_standard_input, daemon=True).start()
        match os.environ.get(MOMENT):
            case "pull":
                from data_sync.services import pulling

                # All changes are written, but not committed.
                assert pulling.supersede
                pulling.supersede = stop
            case "apply":
                from django.db.models.signals import post_save

                from tests.testapp.models import Category

                counted = itertools.count(1)

                def stop_at(**_: Any) -> None:
                    if next(counted) == 2000:
                        stop()

                post_save.connect(stop_at, sender=Category, weak=False)


def stop(*_: Any) -> None:
    os.write(int(os.environ[PIPE]), b"stopped\n")
    threading.Event().wait()


def end_with_standard_input() -> None:
    # Not by sys.stdin, whose lock the forked processes of a pool would inherit.
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)

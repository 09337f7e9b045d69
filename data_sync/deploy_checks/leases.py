"""Whether a worker that lives can be taken for one that is lost."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.checks import CheckMessage, Warning
from django.db import DEFAULT_DB_ALIAS, connections

from data_sync import conf, tasks
from data_sync.services.leases import BEAT_SECONDS

from .registering import deployment

FEWEST_BEATS = 15
"""Heartbeats that may be missed in succession: a machine that swaps, a database that fails over."""


@deployment
def check_lease() -> Iterator[CheckMessage]:
    try:
        lease = conf.lease_seconds()
        deadline = tasks.deadline()
    except (TypeError, ValueError):
        return  # Said by the check of the values.
    if lease < FEWEST_BEATS * BEAT_SECONDS:
        yield Warning(
            f"DATA_SYNC_LEASE_SECONDS is {lease}: a worker that is held up for so long loses its pull or apply to "
            "another, and what it did is done anew.",
            hint=f"Take {round(FEWEST_BEATS * BEAT_SECONDS)} or more; the default is 120.",
            id="data_sync.W018",
        )
    elif deadline is not None and lease < deadline and connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
        yield Warning(
            f"DATA_SYNC_LEASE_SECONDS is {lease}, and a task may take {round(deadline)} s: on SQLite no worker can "
            "renew its lease while another writes, so that a pull is taken for lost, and begun anew, while a long "
            "apply is written.",
            hint="Set DATA_SYNC_LEASE_SECONDS to no less than the deadline, or use PostgreSQL or MariaDB.",
            id="data_sync.W019",
        )

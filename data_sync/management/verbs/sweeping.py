"""`sweep` delivers work that was asked for and lost: for cron, every minute."""

from __future__ import annotations

from data_sync import tasks
from data_sync.tasks import Delivery, Swept

from ..text.words import count, line
from .call import Answer, Call, Verbs


def add_verbs(verbs: Verbs) -> None:
    verbs.add("sweep", sweep, "Deliver pulls and applies that were lost: to the queue, or do them here")


def sweep(call: Call) -> Answer:
    # Of what was asked for by whoever may; this is only about who may set it going.
    call.actor.require("data_sync.pull_datasource")
    swept = tasks.sweep()
    failed = [row for row in swept if row.delivery == Delivery.FAILED]
    return Answer(
        document={
            "swept": [
                {"task": row.kind, "id": row.pk, "delivery": row.delivery.value, "reason": row.reason} for row in swept
            ]
        },
        # cron mails whatever is printed.
        text=[_text(row) for row in swept] or ([] if call.progress is None else ["Nothing was lost."]),
        failure=f"Of {count(len(swept), 'task')}, {len(failed):,} could not be delivered." if failed else "",
    )


def _text(row: Swept) -> str:
    name = f"Pull {row.pk}" if row.kind == "pull" else f"Apply of changeset {row.pk}"
    return f"{name}: {row.delivery.value}{'. ' + line(row.reason) if row.reason else ''}"

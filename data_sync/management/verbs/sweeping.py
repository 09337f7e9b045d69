"""`sweep` delivers work that was asked for and lost: for cron, every minute. With `--prune` it ends with retention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_sync import conf, tasks
from data_sync.core.errors import InvalidInput
from data_sync.services import retention
from data_sync.services.retention import Pruned
from data_sync.tasks import Delivery, Swept

from ..text.words import count, line, listing, moment
from .call import Answer, Call, Verbs

SHOWN = 20


def add_verbs(verbs: Verbs) -> None:
    sweep = verbs.add("sweep", sweep_lost, "Deliver pulls and applies that were lost: to the queue, or do them here")
    sweep.add_argument(
        "--prune", action="store_true", help="then purge the values of changesets that were closed long ago"
    )
    sweep.add_argument("--dry-run", action="store_true", help="with --prune: do nothing, and say what would be purged")


def sweep_lost(call: Call) -> Answer:
    # Of what was asked for by whoever may; this is only about who may set it going.
    call.actor.require("data_sync.pull_datasource")
    if call.options["dry_run"]:
        if not call.options["prune"]:
            raise InvalidInput("--dry-run goes with --prune.")
        would = retention.would_prune(call.actor)
        return Answer(document={"swept": [], "pruned": _document(would)}, text=list(_pruned_text(would)))
    swept = tasks.sweep()
    failed = [row for row in swept if row.delivery == Delivery.FAILED]
    failure = f"Of {count(len(swept), 'task')}, {len(failed):,} could not be delivered." if failed else ""
    document: dict[str, Any] = {
        "swept": [
            {"task": row.kind, "id": row.pk, "delivery": row.delivery.value, "reason": row.reason} for row in swept
        ]
    }
    # cron mails whatever is printed.
    text = [_text(row) for row in swept] or ([] if call.progress is None else ["Nothing was lost."])
    if call.options["prune"]:
        pruned = retention.prune(call.actor)
        document["pruned"] = _document(pruned)
        text += _pruned_text(pruned)
        if pruned.failures:
            several = count(len(pruned.failures), "changeset")
            failure = f"{failure} {several} could not be purged; see the log.".strip()
    return Answer(document=document, text=text, failure=failure)


def _text(row: Swept) -> str:
    name = f"Pull {row.pk}" if row.kind == "pull" else f"Apply of changeset {row.pk}"
    return f"{name}: {row.delivery.value}{'. ' + line(row.reason) if row.reason else ''}"


def _document(pruned: Pruned) -> dict[str, Any]:
    return {
        "retention_days": conf.retention_days(),
        "closed_before": None if pruned.before is None else pruned.before.isoformat(),
        "dry_run": pruned.is_dry_run,
        "changesets": pruned.changesets,
        "changes": pruned.changes,
        "kept_rows": pruned.kept_rows,
        "pulls": pruned.pulls,
        "staged_files": pruned.staged_files,
        "left_files": pruned.left_files,
        "failures": [{"changeset": pk, "reason": reason} for pk, reason in pruned.failures.items()],
    }


def _pruned_text(pruned: Pruned) -> Iterator[str]:
    """Nothing where there was nothing to do: cron mails whatever is printed."""
    if pruned.before is None:
        yield "Everything is kept: DATA_SYNC_RETENTION_DAYS is not set."
        return
    does = "Would purge" if pruned.is_dry_run else "Purged"
    if pruned.changesets or pruned.is_dry_run:
        which = f": {listing([str(pk) for pk in pruned.changesets], SHOWN)}" if pruned.changesets else ""
        closed = f"closed before {moment(pruned.before)}"
        yield f"{does} {count(len(pruned.changesets), 'changeset')} {closed}{which}."
        yield f"    {count(pruned.changes, 'change')}, {count(pruned.kept_rows, 'kept row')}."
    if pruned.pulls:
        yield f"{does} the reasons of {count(pruned.pulls, 'failed pull')}."
    files = pruned.left_files + pruned.staged_files
    if files:
        most = "at most " if pruned.is_dry_run else ""
        yield (
            f"{does} {most}{count(files, 'file')}: {pruned.left_files:,} left behind by applies, "
            f"{pruned.staged_files:,} staged."
        )

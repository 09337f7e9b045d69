"""A changeset as one JSON document, streamed: what auditors read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any

from django.db import DEFAULT_DB_ALIAS

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.redaction import Redaction, shown
from data_sync.models import Change, Changeset
from data_sync.orm.snapshot import snapshot

from .actors import Actor
from .approval import overridden
from .audit import event_content
from .content import change_content
from .redaction import redaction_of
from .seals import kept_of, rename_of

FORMAT = "data-sync-changeset"
FORMAT_VERSION = "1.0"


def changeset_document(changeset: Changeset, actor: Actor) -> Iterator[str]:
    """Lines of the document, which is canonical JSON but for one line feed after each change and event.

    All of it is of the moment of this call, which also raises `NotPermitted`: it is written to a
    temporary file first, so that a slow reader holds no transaction open. A reader ignores members it
    does not know and refuses a major version it does not know.
    """
    actor.require("data_sync.export_changeset")
    spool = tempfile.TemporaryFile(dir=conf.spool_dir())
    try:
        with snapshot(DEFAULT_DB_ALIAS):
            spool.writelines(piece.encode() for piece in _pieces(Changeset.objects.get(pk=changeset.pk)))
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    lines = _lines(spool)
    next(lines)
    return lines


def _lines(spool: IO[bytes]) -> Iterator[str]:
    with spool:
        # Only a generator that has begun closes the file where nobody reads on.
        yield ""
        for line in spool:
            yield line.decode()


def _pieces(changeset: Changeset) -> Iterator[str]:
    yield '{"changes":[\n'
    changes = changeset.changes.order_by("number").iterator(chunk_size=500)
    redaction = redaction_of(changeset)
    yield from _separated(
        {
            **change_content(change, redaction),
            "decision": change.decision,
            "kept_fields": kept_of(change.decision, change.kept),
            "acknowledged_digest": change.acknowledged_digest,
            "seen_fields": _seen(change, redaction),
            "rename_choice": rename_of(change.operation, change.rename_choice),
            "outcome": change.outcome or None,
            "outcome_reason": change.outcome_reason,
        }
        for change in changes
    )
    yield f'],"changeset":{canonical.dumps(_head(changeset))},"events":[\n'
    events = changeset.events.order_by("number").iterator(chunk_size=500)
    yield from _separated({**event_content(event), "previous": event.previous, "hash": event.hash} for event in events)
    yield f'],"format":"{FORMAT}","format_version":"{FORMAT_VERSION}"}}\n'


def _separated(documents: Iterator[dict[str, Any]]) -> Iterator[str]:
    separator = ""
    for document in documents:
        yield separator + canonical.dumps(document)
        separator = ",\n"
    yield "\n" if separator else ""


def _seen(change: Change, redaction: Redaction) -> Mapping[str, Any] | None:
    is_seen = change.seen.get("digest") == change.acknowledged_digest
    return shown(change.seen["fields"], redaction.of(change.model)) if is_seen else None


def _head(changeset: Changeset) -> dict[str, Any]:
    return {
        "number": changeset.pk,
        "state": changeset.state,
        "purged": changeset.purged_at is not None,
        "source": changeset.source_name,
        "models": changeset.model_labels,
        "created_at": _utc(changeset.created_at),
        "requested_by": changeset.actor,
        "compared": changeset.compared,
        "counts": {
            "create": changeset.creates,
            "update": changeset.updates,
            "delete": changeset.deletes,
            "rename": changeset.renames,
        },
        "conflicts": changeset.conflicts,
        "guards": changeset.guards,
        "override": override_document(changeset),
        "omitted": changeset.omitted,
        "redacted": changeset.redacted,
        "seal": changeset.content_seal,
        "approval_seal": changeset.approval_seal,
        "revision": changeset.revision,
        "applied_at": _utc(changeset.applied_at),
    }


def override_document(changeset: Changeset) -> dict[str, Any] | None:
    """Who let it through its guards, when and why; None where nobody has."""
    event = overridden(changeset)
    return None if event is None else {"actor": event.actor, "at": _utc(event.at), "reason": event.detail["reason"]}


def _utc(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()

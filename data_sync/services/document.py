"""A changeset as one JSON document, streamed: what auditors read."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections, transaction

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.errors import Busy
from data_sync.core.export_form import FORMAT, FORMAT_VERSION, proof_text
from data_sync.core.seal import proof_digest
from data_sync.models import Changeset, Event
from data_sync.orm.snapshot import snapshot

from . import audit
from .actors import Actor
from .approval import overridden
from .audit import event_content
from .audit_keys import keyring
from .document_changes import exported_changes
from .leases import HELD_SECONDS

logger = logging.getLogger("data_sync")


def changeset_document(changeset: Changeset, actor: Actor) -> Iterator[str]:
    """Lines of the document, which is canonical JSON but for one line feed after each change and event.

    That it was exported, and by whom, is recorded first, and in it. All of it is of the moment of this call, which also
    raises `NotPermitted`, and `Busy` while the changeset is being written: it is written to a temporary file first, so
    that a slow reader holds no transaction open. A reader ignores members it does not know and refuses a major version
    it does not know.
    """
    actor.require("data_sync.export_changeset")
    _record(changeset, actor)
    spool = tempfile.TemporaryFile(dir=conf.spool_dir())
    try:
        with snapshot(DEFAULT_DB_ALIAS):
            spool.writelines(document_lines(Changeset.objects.get(pk=changeset.pk)))
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    lines = _lines(spool)
    next(lines)
    return lines


def changeset_archive(changesets: Iterable[Changeset], actor: Actor) -> IO[bytes]:
    """A zip file with a `changeset_document` of each, open and at its beginning; it is gone once it is closed.

    Raises what that raises, with the changesets before it recorded as exported.
    """
    actor.require("data_sync.export_changeset")
    file = tempfile.TemporaryFile(dir=conf.spool_dir())
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for changeset in changesets:
                with archive.open(f"changeset-{changeset.pk}.json", "w", force_zip64=True) as member:
                    for line in changeset_document(changeset, actor):
                        member.write(line.encode())
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _record(changeset: Changeset, actor: Actor) -> None:
    """Where the database takes nothing at all, as a copy for reading does, the log has to do."""
    detail = {"format": FORMAT, "format_version": FORMAT_VERSION}
    try:
        with transaction.atomic():
            _refuse_held(changeset)
            audit.record(changeset.pk, actor, "exported", detail)
    except DatabaseError as error:
        if "read-only" not in str(error).lower() and "readonly" not in str(error).lower():
            raise
        logger.warning("Changeset %s was exported by %s from a database for reading.", changeset.pk, actor.label)


def _refuse_held(changeset: Changeset) -> None:
    """Raises `Busy` where an apply has the changeset, instead of waiting for its end."""
    if not connections[DEFAULT_DB_ALIAS].features.has_select_for_update_nowait:
        return
    try:
        Changeset.objects.select_for_update(nowait=True).values_list("pk").filter(pk=changeset.pk).first()
    except OperationalError as error:
        raise Busy(
            f"Changeset {changeset.pk} is being applied or decided on; export it in a minute.", HELD_SECONDS
        ) from error


def _lines(spool: IO[bytes]) -> Iterator[str]:
    with spool:
        # Only a generator that has begun closes the file where nobody reads on.
        yield ""
        for line in spool:
            yield line.decode()


def document_lines(changeset: Changeset) -> Iterator[bytes]:
    """The document line by line, read from the database as they are asked for; the last has the proof."""
    sha = hashlib.sha256()

    def hashed(text: str) -> bytes:
        block = text.encode()
        sha.update(block)
        return block

    yield hashed('{"changes":[\n')
    for text in _items(exported_changes(changeset)):
        yield hashed(text)
    yield hashed(f'],"changeset":{canonical.dumps(_head(changeset))},"events":[\n')
    events = changeset.events.order_by("number").iterator(chunk_size=500)
    for text in _items(canonical.dumps(_event(event)) for event in events):
        yield hashed(text)
    end = hashed(f'],"format":"{FORMAT}","format_version":"{FORMAT_VERSION}"')
    before, key = "sha256:" + sha.hexdigest(), keyring().newest
    key_id, mac = (None, None) if key is None else (key.id, key.of_document(before))
    yield end + proof_text(proof_digest(before, key_id, mac), key_id, mac).encode()


def _items(texts: Iterator[str]) -> Iterator[str]:
    """Each on a line, with a comma where another follows."""
    before = None
    for text in texts:
        if before is not None:
            yield before + ",\n"
        before = text
    if before is not None:
        yield before + "\n"


def _event(event: Event) -> dict[str, Any]:
    return {
        **event_content(event),
        "previous": event.previous,
        "hash": event.hash,
        "mac": event.mac or None,
        "mac_key": event.mac_key or None,
    }


def _head(changeset: Changeset) -> dict[str, Any]:
    return {
        "number": changeset.pk,
        "kind": changeset.kind,
        "reverts": changeset.reverts_id,
        "state": changeset.state,
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
        "reverted_at": _utc(changeset.reverted_at),
        "purged_at": _utc(changeset.purged_at),
        "chain": _chain(changeset),
    }


def _chain(changeset: Changeset) -> dict[str, Any]:
    last = changeset.events.order_by("-number").first()
    return {"length": 0 if last is None else last.number, "head": "" if last is None else last.hash}


def override_document(changeset: Changeset) -> dict[str, Any] | None:
    """Who let it through its guards, when and why; None where nobody has."""
    event = overridden(changeset)
    return None if event is None else {"actor": event.actor, "at": _utc(event.at), "reason": event.detail["reason"]}


def _utc(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()

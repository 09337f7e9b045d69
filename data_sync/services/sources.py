"""Sources: where this environment pulls from."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import InvalidInput, InvalidTransition
from data_sync.models import DataPull, DataSource
from data_sync.sources.addresses import parse_url
from data_sync.sources.http import HttpSource

from . import audit, credentials, trust
from .actors import Actor
from .baselines import forget
from .source_identity import REFERENCE_PREFIX, audience_of, protected_key
from .source_rows import chain, identity_of, locked, refuse_held, refuse_other

__all__ = ["REFERENCE_PREFIX", "add_source", "change_source", "open_source", "remove_source"]


@sensitive_variables("key")
def add_source(name: str, url: str, key: str, actor: Actor, *, google_audience: str = "") -> DataSource:
    """A new source. `key` is an export key made there, or `env:NAME`; it may be "" where there is an audience.

    `google_audience`: for whom Google is to make out the ID tokens that go along. Contacts nobody. Raises
    `NotPermitted` and `InvalidInput`.
    """
    actor.require("data_sync.add_datasource")
    parsed = parse_url(url)
    audience = audience_of(google_audience, parsed, actor)
    source = DataSource(
        name=_name(name),
        url=str(parsed),
        key="" if audience and not key.strip() else protected_key(key, str(parsed), actor),
        google_audience=audience,
    )
    with transaction.atomic():
        _save(source, force_insert=True)
        audit.record_of(chain(source.pk), actor, "source_added", _told(source))
    return source


@sensitive_variables("key")
def change_source(
    source: DataSource,
    actor: Actor,
    *,
    name: str | None = None,
    url: str | None = None,
    key: str | None = None,
    google_audience: str | None = None,
    seen: str | None = None,
) -> DataSource:
    """Changes what is given and leaves what is None.

    Another scheme, host or port needs the key and the audience again: otherwise whoever may change a source could have
    its key, or tokens for it, sent to a host of their own; nor will a reference do there that a source of another host
    has had, unless the actor is the command line. Another URL, key or audience ends trust in the source.
    `seen` is the `identity_of` the source that a form was made from. Raises `NotPermitted`, `InvalidInput`, and
    `RevisionConflict` where it has another by now; for another URL `InvalidTransition` while a pull is active: it would
    store as agreed what it reads at the old one, and `Busy` while a changeset is being written.
    """
    actor.require("data_sync.change_datasource")
    with transaction.atomic():
        stored = locked(source)
        refuse_other(seen, identity_of(stored))
        before = _told(stored)
        _change(stored, actor, name, url, key, google_audience)
        audit.record_of(
            chain(stored.pk),
            actor,
            "source_changed",
            {"before": before, "after": _told(stored), "new_key": key is not None},
        )
    source.refresh_from_db()
    return source


@sensitive_variables("key")
def _change(
    changed: DataSource, actor: Actor, name: str | None, url: str | None, key: str | None, audience: str | None
) -> None:
    before = (changed.url, changed.key, changed.google_audience)
    if name is not None:
        changed.name = _name(name)
    has_moved = False
    if url is not None:
        parsed = parse_url(url)
        has_moved = _origin(changed.url) != parsed.origin
        if has_moved and changed.key and key is None:
            raise InvalidInput(
                "The URL leads to another host: give the export key again, so that the stored one is not sent there."
            )
        if has_moved and changed.google_audience and audience is None:
            raise InvalidInput(
                "The URL leads to another host: give the Google audience again, so that no token for the old host is "
                "sent there."
            )
        changed.url = str(parsed)
    if audience is not None and (has_moved or audience.strip() != changed.google_audience):
        changed.google_audience = audience_of(audience, parse_url(changed.url), actor)
    if key is not None:
        changed.key = protected_key(key, changed.url, actor)
    if not (changed.key or changed.google_audience):
        raise InvalidInput("A source needs an export key, or a Google audience.")
    if changed.url != before[0]:
        _refuse_active_pull(changed)
        refuse_held(changed)
        # What was agreed on with another environment is no base.
        forget(changed)
    # A stored key is never the same text again; a reference may be given anew, and is the same.
    now = (changed.url, changed.key, changed.google_audience)
    altered = [
        what for what, old, new in zip(("URL", "key", "Google audience"), before, now, strict=True) if new != old
    ]
    if altered:
        # Who trusted it did not trust another environment, or another door to it.
        trust.end(changed, actor, f"{actor.label} changed the source's {' and '.join(altered)}.")
    _save(changed)


def remove_source(source: DataSource, actor: Actor) -> None:
    """Removes a source; its pulls and changesets stay. Raises `InvalidTransition` while a pull is active, and `Busy`
    while a changeset is being written."""
    actor.require("data_sync.delete_datasource")
    with transaction.atomic():
        # A pull that starts meanwhile waits, and then finds no source.
        stored = locked(source)
        trust.end(stored, actor, f"{actor.label} removed the source.")
        _refuse_active_pull(source)
        refuse_held(stored)
        audit.record_of(chain(stored.pk), actor, "source_removed", _told(stored))
        DataSource.objects.filter(pk=source.pk).delete()


def _told(source: DataSource) -> dict[str, str]:
    """What the audit trail says of a source; of its key the reference, or that there is one."""
    return {
        "name": source.name,
        "url": source.url,
        "key": credentials.describe(source.key),
        "google_audience": source.google_audience,
    }


def _refuse_active_pull(source: DataSource) -> None:
    pull = DataPull.objects.filter(active_source=source.pk).first()
    if pull is not None:
        raise InvalidTransition(
            f"Pull {pull.pk} is reading the source {pull.source_name} ({pull.state}); wait for its end, or cancel it."
        )


@sensitive_variables()
def open_source(source: DataSource) -> HttpSource:
    """The source, to read from. Raises `DataSyncError` where its key or URL is of no use any more."""
    key = "" if source.google_audience and not source.key else credentials.reveal(source.key)
    return HttpSource(source.url, key, source.google_audience)


def _name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise InvalidInput("A source needs a name of 1 to 100 characters, such as Staging.")
    return name


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        return parse_url(url).origin
    except InvalidInput:
        return None  # Stored under settings that have changed since.


def _save(source: DataSource, *, force_insert: bool = False) -> None:
    try:
        with transaction.atomic():
            source.save(force_insert=force_insert)
    except IntegrityError:
        raise InvalidInput(f"There is a source named “{source.name}” already; choose another name.") from None

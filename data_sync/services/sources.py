"""Sources: where this environment pulls from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import DataSyncError, InvalidInput, InvalidTransition
from data_sync.core.manifest import PROTOCOL, Manifest, schema_differences
from data_sync.core.source import RecordSource
from data_sync.models import DataPull, DataSource
from data_sync.orm.read import LocalSource
from data_sync.sources.addresses import SourceUrl, parse_url
from data_sync.sources.http import HttpSource, SourceFailed

from . import credentials, trust
from .actors import Actor
from .baselines import forget
from .source_identity import REFERENCE_PREFIX, audience_of, protected_key
from .source_rows import locked

__all__ = ["REFERENCE_PREFIX", "Check", "add_source", "change_source", "check_source", "open_source", "remove_source"]

_CLOCK_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: `name` for a label, `message` in words, also where all is well."""

    name: str
    ok: bool
    message: str


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
        key="" if audience and not key.strip() else protected_key(key, actor),
        google_audience=audience,
    )
    _save(source, force_insert=True)
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
) -> DataSource:
    """Changes what is given and leaves what is None.

    Another scheme, host or port needs the key and the audience again: otherwise whoever may change a source could have
    its key, or tokens for it, sent to a host of their own. Another URL, key or audience ends trust in the source.
    Raises `NotPermitted` and `InvalidInput`; and `InvalidTransition` for another URL while a pull is active: it would
    store as agreed what it reads at the old one.
    """
    actor.require("data_sync.change_datasource")
    with transaction.atomic():
        _change(locked(source), actor, name, url, key, google_audience)
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
        changed.key = protected_key(key, actor)
    if not (changed.key or changed.google_audience):
        raise InvalidInput("A source needs an export key, or a Google audience.")
    if changed.url != before[0]:
        _refuse_active_pull(changed)
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
    """Removes a source; its pulls and changesets stay. Raises `InvalidTransition` while a pull is active."""
    actor.require("data_sync.delete_datasource")
    with transaction.atomic():
        # A pull that starts meanwhile waits, and then finds no source.
        trust.end(locked(source), actor, f"{actor.label} removed the source.")
        _refuse_active_pull(source)
        DataSource.objects.filter(pk=source.pk).delete()


def _refuse_active_pull(source: DataSource) -> None:
    pull = DataPull.objects.filter(active_source=source.pk).first()
    if pull is not None:
        raise InvalidTransition(
            f"Pull {pull.pk} is reading the source {pull.source_name} ({pull.state}); wait for its end, or cancel it."
        )


@sensitive_variables()
def open_source(source: DataSource) -> RecordSource:
    """The source, to read from. Raises `DataSyncError` where its key or URL is of no use any more."""
    return _reader(source)


@sensitive_variables()
def _reader(source: DataSource) -> HttpSource:
    key = "" if source.google_audience and not source.key else credentials.reveal(source.key)
    return HttpSource(source.url, key, source.google_audience)


def check_source(source: DataSource) -> list[Check]:
    """Tries the source and says how far it came: the last check is the first that failed, or the models.

    Stores nothing, and raises for nothing that the source does.
    """
    try:
        url = parse_url(source.url)
        remote = _reader(source)
    except DataSyncError as error:
        return [Check(name="settings", ok=False, message=str(error))]
    checks = _source_checks(url, remote)
    if source.google_audience and checks[0].name != _TOKEN:
        message = f"Google gives tokens for {source.google_audience}."
        return [Check(name=_TOKEN, ok=True, message=message), *checks]
    return checks


def _source_checks(url: SourceUrl, remote: HttpSource) -> list[Check]:
    try:
        there = remote.manifest()
    except SourceFailed as failed:
        passed = [*_transport_checks(url), _KEY_ACCEPTED]
        match failed.stage:
            case "token":
                return [Check(name=_TOKEN, ok=False, message=str(failed))]
            case "address" | "connect" | "proxy":
                return [Check(name="reachable", ok=False, message=str(failed))]
            case "tls":
                return [*passed[:1], Check(name="TLS", ok=False, message=str(failed))]
            case "key":
                return [*passed[:2], Check(name="key accepted", ok=False, message=str(failed))]
            case "answer":
                return [*passed[:2], Check(name="answer", ok=False, message=str(failed))]
            case _ as never:
                assert_never(never)
    except DataSyncError as error:
        return [*_transport_checks(url), _KEY_ACCEPTED, Check(name="protocol", ok=False, message=str(error))]
    finally:
        remote.close()
    return [
        *_transport_checks(url),
        _KEY_ACCEPTED,
        Check(name="protocol", ok=True, message=f"Both sides speak protocol {PROTOCOL}."),
        _clock_check(remote.clock_skew),
        *_schema_checks(there),
    ]


_TOKEN = "Google token"  # noqa: S105
_KEY_ACCEPTED = Check(name="key accepted", ok=True, message="The export key is accepted.")


def _transport_checks(url: SourceUrl) -> list[Check]:
    secure = "The certificate is valid." if url.scheme == "https" else "Plain http: everyone on the way can read along."
    return [
        Check(name="reachable", ok=True, message=f"{url.authority} answers."),
        Check(name="TLS", ok=True, message=secure),
    ]


def _clock_check(skew: timedelta | None) -> Check:
    if skew is None:
        return Check(name="clock", ok=True, message="The source does not say what time it is.")
    seconds = round(skew.total_seconds())
    if abs(skew) <= _CLOCK_TOLERANCE:
        return Check(name="clock", ok=True, message=f"The clocks agree to {max(1, abs(seconds))} s.")
    direction = "ahead of" if seconds > 0 else "behind"
    return Check(
        name="clock",
        ok=False,
        message=f"The source's clock is {abs(seconds)} s {direction} this one; set both by NTP.",
    )


def _schema_checks(there: Manifest) -> list[Check]:
    """One check a model, as a pull of everything that the source offers would see it."""
    try:
        here = LocalSource().manifest()
    except DataSyncError as error:
        return [Check(name="models", ok=False, message=str(error))]
    if not there.models:
        return [Check(name="models", ok=False, message="The source offers no models to this key.")]
    found: dict[str, list[str]] = {label: [] for label in there.models}
    for difference in schema_differences(here, there, found):
        found[difference["model"]].append(f"{difference['field']} {difference['difference']}".strip())
    return [_schema_check(label, differences, here, there) for label, differences in found.items()] + [
        Check(name=label, ok=True, message="Not offered by the source, or not to this key; a pull leaves it alone.")
        for label in here.models
        if label not in there.models
    ]


def _schema_check(label: str, differences: list[str], here: Manifest, there: Manifest) -> Check:
    if differences:
        return Check(name=label, ok=False, message="; ".join(differences) + ".")
    ours, theirs = here.models[label], there.models[label]
    rows = "row" if theirs.count == 1 else "rows"
    message = f"Same on both sides; {theirs.count} {rows} there."
    if theirs.scoped is not None and theirs.scoped != ours.scoped:
        message += f" It has a queryset {'at the source' if theirs.scoped else 'here'} alone."
    return Check(name=label, ok=True, message=message)


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

"""Trying a source: how far a pull would come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from data_sync.core.errors import DataSyncError
from data_sync.core.manifest import PROTOCOL, Manifest, schema_differences
from data_sync.models import DataSource
from data_sync.orm.read import LocalSource
from data_sync.sources.addresses import SourceUrl, parse_url
from data_sync.sources.http import HttpSource, SourceFailed

from .sources import open_source

_CLOCK_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: `name` for a label, `message` in words, also where all is well."""

    name: str
    ok: bool
    message: str


_TOKEN = "Google token"  # noqa: S105
_KEY_ACCEPTED = Check(name="key accepted", ok=True, message="The export key is accepted.")


def check_source(source: DataSource) -> list[Check]:
    """Tries the source and says how far it came: the last check is the first that failed, or the models.

    Stores nothing, and raises for nothing that the source does.
    """
    try:
        url = parse_url(source.url)
        remote = open_source(source)
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

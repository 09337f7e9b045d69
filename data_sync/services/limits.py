"""The delete limits of sources: what they are, and changing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from data_sync import conf, registry
from data_sync.core.errors import InvalidInput
from data_sync.models import DataSource, DeleteLimit

from . import audit
from .actors import Actor
from .guards import Limit, Limits
from .source_rows import chain, digest_of, locked, refuse_other

ALL = ""
"""Stands for a source's own limits among those of its models."""
MOST = {"rows": 2**31 - 1, "percent": 100}

Given = dict[str, int | None]
"""`rows` and `percent`, each None where nothing is set."""


OVERRIDES = "data_sync.override_changeset_guard"
"""What raising a limit takes besides: it lets through what a guard would hold back, of every pull to come."""


def limits_of(source: DataSource | None) -> Limits:
    """What counts for a source at this moment, read from the database; without one, the settings."""
    return _counting({} if source is None else given_limits(source))


def _counting(given: Mapping[str, Given]) -> Limits:
    default = _over(Limit(rows=conf.delete_limit(), percent=conf.delete_percent()), given.get(ALL, {}))
    own = {label: _over(default, its) for label, its in given.items() if label != ALL}
    return Limits(default=default, models=own)


def _over(limit: Limit, given: Given) -> Limit:
    rows, percent = given.get("rows"), given.get("percent")
    return Limit(
        rows=limit.rows if rows is None else rows,
        percent=limit.percent if percent is None else percent,
    )


def given_limits(source: DataSource) -> dict[str, Given]:
    """What is set for a source (`ALL`) and for models of it, by label."""
    own = DataSource.objects.filter(pk=source.pk).values_list("delete_limit", "delete_percent").first()
    rows = DeleteLimit.objects.filter(source=source.pk).order_by("model").values_list("model", "limit", "percent")
    given: dict[str, Given] = {ALL: dict(zip(MOST, own or (None, None), strict=True))}
    return given | {label: {"rows": limit, "percent": percent} for label, limit, percent in rows}


def change_limits(source: DataSource, actor: Actor, changes: Mapping[str, Given], *, seen: str | None = None) -> bool:
    """Sets limits of a source (`ALL`) and of models: None takes one back, and what is not named stays.

    Gives whether anything is different now; then an event says what was and what is. Changesets that are stored keep
    the guards they have. Where more would go unblocked than before, by any limit, it takes `OVERRIDES` too. `seen`
    is the `limits_digest` of what a form was made from. Raises `NotPermitted`, `InvalidInput`, and `RevisionConflict`
    where there are others by now.
    """
    actor.require("data_sync.change_datasource")
    with transaction.atomic():
        stored = locked(source)
        before = given_limits(stored)
        refuse_other(seen, limits_digest(before))
        after = before | {label: before.get(label, _NONE) | given for label, given in changes.items()}
        for label, given in changes.items():
            _check(label, given, known=label in before)
        after = {label: given for label, given in after.items() if label == ALL or given != _NONE}
        if after == before:
            return False
        if is_looser(_counting(before), _counting(after)):
            actor.require(OVERRIDES)
        _store(stored, after)
        detail = {"before": _plain(before), "after": _plain(after)}
        audit.record_of(chain(stored.pk), actor, "limits_changed", detail)
    source.refresh_from_db()
    return True


def limits_digest(given: Mapping[str, Given]) -> str:
    """Stands for `given_limits`, as a form shows them."""
    return digest_of(_plain(given))


def is_looser(before: Limits, after: Limits) -> bool:
    """Whether any model may have more deletes, in rows or in percent, under the later limits."""
    pairs = [(before.default, after.default)]
    pairs += [(before.of(label), after.of(label)) for label in {*before.models, *after.models}]
    return any(then.rows < now.rows or then.percent < now.percent for then, now in pairs)


_NONE: Given = dict.fromkeys(MOST)


def _check(label: str, given: Given, *, known: bool) -> None:
    if not known and label not in {registration.label for registration in registry.registrations()}:
        raise InvalidInput(f"There is no registered model {label!r}; a limit is for one, such as shop.product.")
    for name, value in given.items():
        if value is not None and not 0 <= value <= MOST[name]:
            raise InvalidInput(f"A limit in {name} is a whole number from 0 to {MOST[name]}, not {value}.")


def _store(source: DataSource, after: dict[str, Given]) -> None:
    own = after[ALL]
    DataSource.objects.filter(pk=source.pk).update(delete_limit=own["rows"], delete_percent=own["percent"])
    models = {label: given for label, given in after.items() if label != ALL}
    DeleteLimit.objects.filter(source=source).exclude(model__in=models).delete()
    for label, given in models.items():
        DeleteLimit.objects.update_or_create(
            source=source, model=label, defaults={"limit": given["rows"], "percent": given["percent"]}
        )


def _plain(given: Mapping[str, Given]) -> dict[str, Any]:
    """As events tell it."""
    return {**given[ALL], "models": {label: its for label, its in given.items() if label != ALL}}

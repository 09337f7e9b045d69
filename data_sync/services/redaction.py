"""What of a changeset is redacted: fixed at its pull, with the key of its leaves, whatever registrations say later."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Collection, Mapping

from data_sync.core.redaction import Redaction, new_key
from data_sync.models import Changeset
from data_sync.orm.refusals import is_about_the_database, without_values
from data_sync.orm.schema import ModelSchema
from data_sync.registry import registrations

logger = logging.getLogger("data_sync")


def redacted_fields(models: Mapping[str, ModelSchema]) -> dict[str, list[str]]:
    """By label, what is redacted of these models."""
    return {label: sorted(schema.redacted) for label, schema in models.items() if schema.redacted}


def new_redaction(models: Mapping[str, ModelSchema]) -> Redaction:
    """What a new changeset of these models redacts, under a key of its own."""
    names = redacted_fields(models)
    return Redaction(names=names, key=new_key() if names else b"")


def redaction_of(changeset: Changeset) -> Redaction:
    """What a stored changeset redacts."""
    return Redaction(names=changeset.redacted, key=bytes(changeset.leaf_key))


def names_of(redacted: Mapping[str, Collection[str]]) -> list[str]:
    """The redacted fields of all models, as `model.field`."""
    return [f"{label}.{name}" for label, names in redacted.items() for name in names]


def every_redacted(changeset: Changeset) -> list[str]:
    """What an error of the changeset's apply may quote: besides its own redacted fields those of every model that is
    registered, which deletes may reach."""
    return sorted({*names_of(changeset.redacted), *redacted_here()})


def unexpected(what: str, error: BaseException, redacted: Collection[str]) -> str:
    """Logs an error that nobody foresaw, and gives what may be stored and shown of it: its kind, and a reference under
    which the log has more. What it says may hold anything that the failing code knew, a password of a storage too.

    Where fields are `redacted`, neither has what it says: see `log_error`.
    """
    reference = secrets.token_hex(4)
    log_error(f"{what} (reference {reference})", error, hidden=bool(redacted))
    words, under = without_values(error), f"in the log, under the reference {reference}"
    if not redacted or is_about_the_database(error):
        return f"Unexpected {words}; more is {under}."
    hides = f"because it may quote redacted fields ({', '.join(sorted(set(redacted)))})"
    return f"Unexpected {words}; what it says is not shown, {hides}. Where it happened is {under}."


def log_error(what: str, error: BaseException, *, hidden: bool) -> None:
    """Logs an error with its traceback. `hidden`: where it may quote redacted fields. Then without what it and its
    causes say, unless that is about the database itself, and the traceback names files and lines only."""
    if not hidden:
        logger.error("%s", what, exc_info=error)
        return
    logger.error("%s %s\n%s", what, without_values(error), "".join(traceback.format_tb(error.__traceback__)))


def redacted_here() -> list[str]:
    """The redacted fields of all models that are registered here, as `model.field`."""
    return names_of({registration.label: sorted(registration.redact) for registration in registrations()})

"""What of a changeset is redacted: fixed at its pull, with the key of its leaves, whatever registrations say later."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Collection, Mapping

from data_sync.core.redaction import Redaction, new_key
from data_sync.models import Changeset
from data_sync.orm.refusals import words_of
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import ModelSchema

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
    return sorted({*names_of(changeset.redacted), *names_of(redacted_fields(schemas()))})


def unexpected(what: str, error: BaseException, redacted: Collection[str]) -> str:
    """Logs an error that nobody foresaw, with its traceback, and gives it in words. Where fields are `redacted`, the
    error may quote them: neither has what it says, and the traceback names files and lines only."""
    if not redacted:
        logger.exception("%s", what)
        return f"Unexpected {type(error).__name__}: {error}"
    words = words_of(error, redacted)
    logger.error("%s %s\n%s", what, words, "".join(traceback.format_tb(error.__traceback__)))
    return f"Unexpected {words}"

"""What two sides do not agree on, model by model: fields that were left out, and models that were not compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from data_sync.models import Changeset

from .names import model_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One model. `fields` has what was left out of it, each with why; "" is the model as a whole."""

    label: str
    name: str
    is_compared: bool
    fields: tuple[tuple[str, str], ...]


def disagreements(
    schema: Iterable[Mapping[str, str]], omitted: Mapping[str, Sequence[str]], compared: Collection[str]
) -> list[Disagreement]:
    """From the rows of `DataPull.report["schema"]`, and what a changeset has `omitted`."""
    found: dict[str, dict[str, str]] = {}
    for row in schema:
        found.setdefault(row["model"], {})[row["field"]] = row["difference"]
    for label, names in omitted.items():
        for name in names:
            found.setdefault(label, {}).setdefault(name, _("was left out, with what it refers to"))
    return [
        Disagreement(label=label, name=model_name(label), is_compared=label in compared, fields=tuple(fields.items()))
        for label, fields in found.items()
    ]


def disagreements_of(changeset: Changeset) -> list[Disagreement]:
    """Those of a changeset; its pull, which may be gone, says what exactly differs."""
    schema = changeset.pull.report.get("schema", []) if changeset.pull is not None else []
    return disagreements(schema, changeset.omitted, changeset.model_labels)

"""What two sides agree on: the models that are compared, and the fields that have to be left out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_sync.core.errors import InvalidTransition, SchemaMismatch
from data_sync.core.manifest import Manifest, ModelManifest, schema_differences
from data_sync.core.source import Request
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import ModelSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """`schemas` are those of the models compared, without what is left out; `here` and `there` ask for just that on
    either side. `scoped` are the labels of which the source may have rows out of scope. `differences` are those of
    `core.manifest.schema_differences`; `not_offered` has the models here that nobody asked for and that the source does
    not offer, which are left alone."""

    schemas: dict[str, ModelSchema]
    here: Request
    there: Request
    scoped: frozenset[str]
    differences: list[dict[str, str]]
    not_offered: tuple[str, ...] = ()

    def report(self) -> list[dict[str, str]]:
        """What the two sides do not have in common, as `differences`."""
        words = "is not offered by the source, or its key may not read it; it was left alone"
        return [*self.differences, *({"model": label, "field": "", "difference": words} for label in self.not_offered)]

    def shapes(self) -> dict[str, str]:
        """By label, what digests are made of. What is agreed on of a part of a local record says nothing of the whole:
        models that have fields left out here are not among them, and keep the baselines that they have. Fields that
        only the source has are in no local record."""
        return {label: schema.shape() for label, schema in self.schemas.items() if not schema.omitted}

    def omitted(self) -> dict[str, list[str]]:
        """By label, the fields here that were left out."""
        return {label: list(schema.omitted) for label, schema in self.schemas.items() if schema.omitted}

    def guards(self) -> list[dict[str, Any]]:
        """For each model on which the sides differ, why the changeset waits for a person."""
        named: dict[str, list[str]] = {}
        for difference in self.differences:
            words = f"{difference['field']} {difference['difference']}".strip()
            named.setdefault(difference["model"], []).append(words)
        return [
            {
                "code": "schema_difference",
                "model": label,
                "message": self._message(label, words),
                "counts": {},
                "limit": None,
            }
            for label, words in named.items()
        ]

    def _message(self, label: str, words: list[str]) -> str:
        left_out = "those fields were left out" if label in self.schemas else "the model was left out"
        return f"{label} is not the same on both sides ({_some(words)}): {left_out}."


def agree(wanted: Sequence[str], here: Manifest, there: Manifest) -> Agreement:
    """Takes what both sides have in the same form. Raises `SchemaMismatch` where that is no model at all.

    A model that the source does not offer is left alone unless it was asked for: absence is no deletion.
    """
    chosen = set(wanted) or set(there.models)
    if not chosen:
        raise InvalidTransition("The source offers no models; register some there, or widen the key's scope.")
    differences = schema_differences(here, there, sorted(chosen))
    omitted: dict[str, set[str]] = {}
    for difference in differences:
        omitted.setdefault(difference["model"], set()).add(difference["field"])
    known = {label: schema for label, schema in schemas().items() if label in here.models and label in there.models}
    unlike = _without_common_key(known, omitted)
    if not there.answers:
        # An older source cannot leave fields out.
        unlike |= {label for label in known if _members(there, label, omitted)}
    compared = {label: schema for label, schema in known.items() if label in chosen - unlike}
    if not compared:
        named = [f"{d['model']} {d['field']} {d['difference']}".replace("  ", " ") for d in differences]
        raise SchemaMismatch(
            f"The two sides do not have the same models: {_some(named)}. Bring both to one version, then pull again.",
            differences,
        )
    for label, schema in compared.items():
        lost = {relation.name for relation in schema.relations if relation.target._meta.label_lower in unlike}
        if unlike:
            lost |= {generic.name for generic in schema.generics}  # It may refer to any of them.
        if lost:
            omitted.setdefault(label, set()).update(lost)
    return Agreement(
        schemas={
            # What either side redacts is redacted: the source knows best what its values are.
            label: schema.redacting(there.models[label].redacted).without(_members(here, label, omitted))
            for label, schema in compared.items()
        },
        here=_request(here, compared, omitted),
        there=_request(there, compared, omitted),
        scoped=frozenset(label for label in compared if _is_scoped(here.models[label], there.models[label])),
        differences=differences,
        not_offered=() if wanted else tuple(label for label in here.models if label not in there.models),
    )


def _is_scoped(here: ModelManifest, there: ModelManifest) -> bool:
    """A source of an older version does not say: then it is taken to be registered as this side is."""
    return bool(here.scoped if there.scoped is None else there.scoped)


def _without_common_key(known: Mapping[str, ModelSchema], omitted: Mapping[str, set[str]]) -> set[str]:
    """Models whose rows the sides identify differently, be it by way of another such model."""
    unlike: set[str] = set()
    # In dependency order: what a key leads through comes first.
    for label, schema in known.items():
        in_key = {part.path[0] for part in schema.key}
        through = {one.target._meta.label_lower for one in schema.references if one.name in in_key}
        if omitted.get(label, set()) & {"", *in_key} or through & unlike:
            unlike.add(label)
    return unlike


def _request(side: Manifest, compared: Mapping[str, ModelSchema], omitted: Mapping[str, set[str]]) -> Request:
    left_out = {label: _members(side, label, omitted) for label in compared}
    return Request(models=tuple(compared), omitted={label: names for label, names in left_out.items() if names})


def _members(side: Manifest, label: str, omitted: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Those of the left out fields that a side has."""
    model = side.models[label]
    return tuple(sorted(omitted.get(label, set()) & (model.fields.keys() | model.files.keys())))


def _some(words: Sequence[str]) -> str:
    return "; ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")

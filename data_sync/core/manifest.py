"""Manifests: what a side has, and where two sides differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .equality import same
from .errors import MalformedStream

PROTOCOL = 1
MAX_COUNT = 1 << 40
"""More rows than a model can have; sums of counts have to fit a column."""
MAX_MODELS = 5_000
MAX_FIELDS = 5_000
"""Of one model, files included. More than any database has columns."""
Fields = Mapping[str, Mapping[str, Any]]
"""Fingerprints by field name, such as `{"type": "CharField", "null": false, "max_length": 100}`."""
Keys = Mapping[str, Mapping[str, list[str]]]
"""How rows are named, by model: `{"key": ["country.code", "code"], "key_types": ["CharField", "CharField"]}`."""
WHOLE = "whole"
"""The feature of a source that is all there: it has no listing, and needs none."""
GENERIC = "GenericForeignKey"
"""The type of a member that may name a row of any model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """One model's shape. `fields` and `files` map names to fingerprints, such as
    `{"type": "CharField", "null": false, "max_length": 100}`; equal fingerprints mean equal columns. `scoped`: whether
    there may be rows out of scope; None where a side of an older version does not say. `redacted` names the fields that
    are to be shown nowhere."""

    key: tuple[str, ...]
    fields: Fields
    files: Fields = field(default_factory=dict)
    count: int = 0
    scoped: bool | None = None
    redacted: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        return {
            "key": list(self.key),
            "fields": dict(self.fields),
            "files": dict(self.files),
            "count": self.count,
            **({} if self.scoped is None else {"scoped": self.scoped}),
            **({"redacted": list(self.redacted)} if self.redacted else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`features` names what a side offers beyond the protocol's least: "digests"; "whole", which bundles have. `keys`
    has every model that is registered there, offered or not, where one that is offered has generic foreign keys; else
    it may be empty."""

    models: Mapping[str, ModelManifest]
    keys: Keys = field(default_factory=dict)
    protocol: int = PROTOCOL
    features: tuple[str, ...] = ()

    @property
    def lists(self) -> bool:
        """Whether it can list digests."""
        return "digests" in self.features

    @property
    def answers(self) -> bool:
        """Whether it leaves out fields when it is asked to, and can say what it has out of scope. Older ones cannot."""
        return self.lists or WHOLE in self.features

    def to_plain(self) -> dict[str, Any]:
        return {
            "format": "data-sync-manifest",
            "features": list(self.features),
            "protocol": self.protocol,
            "models": {label: model.to_plain() for label, model in self.models.items()},
            **({"keys": dict(self.keys)} if self.keys else {}),
        }


def parse_manifest(document: Any) -> Manifest:
    """Reads a manifest document. Raises `MalformedStream` for anything else, or another protocol."""
    if not isinstance(document, dict) or document.get("format") != "data-sync-manifest":
        raise MalformedStream("The answer is not a data_sync manifest; check the source's URL.")
    protocol = document.get("protocol")
    if not same(protocol, PROTOCOL):
        raise MalformedStream(
            f"The source speaks protocol {protocol!r}, this side {PROTOCOL}; install the same data_sync on both."
        )
    models = document.get("models")
    if not isinstance(models, dict):
        raise MalformedStream("The manifest lists no models.")
    keys = document.get("keys", {})
    if len(models) > MAX_MODELS or (isinstance(keys, dict) and len(keys) > MAX_MODELS):
        raise MalformedStream(f"The manifest lists more than {MAX_MODELS} models.")
    features = document.get("features", [])
    if not isinstance(features, list) or not all(isinstance(feature, str) for feature in features):
        raise MalformedStream("The manifest's features are not a list of names.")
    if not isinstance(keys, dict) or not all(map(_is_key, keys.values())):
        raise MalformedStream("The manifest's keys are not the natural keys of models.")
    return Manifest(
        models={label: _parse_model(label, model) for label, model in models.items()},
        keys=keys,
        features=tuple(features),
    )


def _is_key(value: Any) -> bool:
    match value:
        case {"key": list(paths), "key_types": list(types)}:
            return all(isinstance(part, str) for part in (*paths, *types))
        case _:
            return False


def _parse_model(label: str, model: Any) -> ModelManifest:
    match model:
        case {"key": list(key), "fields": dict(fields), "files": dict(files), "count": int(count)} if (
            all(isinstance(part, str) for part in key)
            and all(isinstance(shape, dict) for shape in (*fields.values(), *files.values()))
            and not isinstance(count, bool)
            and 0 <= count <= MAX_COUNT
            and isinstance(model.get("scoped", False), bool)
            and isinstance(redacted := model.get("redacted", []), list)
            and all(isinstance(name, str) for name in redacted)
        ):
            if len(fields) + len(files) > MAX_FIELDS:
                raise MalformedStream(f"The manifest gives {label[:200]} more than {MAX_FIELDS} fields.")
            return ModelManifest(
                key=tuple(key),
                fields=fields,
                files=files,
                count=count,
                scoped=model.get("scoped"),
                redacted=tuple(redacted),
            )
        case _:
            raise MalformedStream(f"The manifest describes {label[:200]} in a way this side does not know.")


def schema_differences(here: Manifest, there: Manifest, models: Iterable[str]) -> list[dict[str, str]]:
    """Every difference between two sides, as `{"model", "field", "difference"}`.

    `difference` is words that follow the names ("is only here"); `field` is "" where it is the model's.
    """
    unlike = list(_unlike_targets(here.keys, there.keys))
    return [
        {"model": label, "field": name, "difference": difference}
        for label in models
        for name, difference in _model_differences(here.models.get(label), there.models.get(label), unlike)
    ]


def _unlike_targets(ours: Keys, theirs: Keys) -> Iterator[str]:
    """Why what generic foreign keys hold may mean another row on the other side."""
    if not theirs:
        yield "can refer to any model, and the source does not say how it identifies their rows"
    for label in sorted(ours.keys() & theirs.keys()):
        mine, other = ours[label], theirs[label]
        for trait in ("key", "key_types"):
            if mine[trait] != other[trait]:
                yield f"can refer to {label}, which has {trait} {mine[trait]} here and {other[trait]} at the source"
                break


def _model_differences(
    ours: ModelManifest | None, theirs: ModelManifest | None, unlike_targets: Sequence[str]
) -> Iterator[tuple[str, str]]:
    if ours is None or theirs is None:
        yield "", f"is not registered {'here' if ours is None else 'at the source, or its key may not read it'}"
        return
    if ours.key != theirs.key:
        yield "", f"has the natural key {list(ours.key)} here and {list(theirs.key)} at the source"
    yield from _field_differences(ours.fields, theirs.fields)
    yield from _field_differences(ours.files, theirs.files)
    for name in sorted(ours.fields.keys() & theirs.fields.keys()):
        if ours.fields[name].get("type") == theirs.fields[name].get("type") == GENERIC:
            yield from ((name, difference) for difference in unlike_targets)


def _field_differences(ours: Fields, theirs: Fields) -> Iterator[tuple[str, str]]:
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            yield name, "is only here"
        elif name not in ours:
            yield name, "is only at the source"
        else:
            mine, other = ours[name], theirs[name]
            for trait in sorted(mine.keys() | other.keys()):
                if mine.get(trait) != other.get(trait):
                    yield name, f"has {trait} {mine.get(trait)!r} here and {other.get(trait)!r} at the source"

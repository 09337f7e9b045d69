"""Manifests: what a side has, and where two sides differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .equality import same
from .errors import MalformedStream

PROTOCOL = 1
MAX_COUNT = 1 << 40
"""More rows than a model can have; sums of counts have to fit a column."""
Fields = Mapping[str, Mapping[str, Any]]
"""Fingerprints by field name, such as `{"type": "CharField", "null": false, "max_length": 100}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """One model's shape. `fields` and `files` map names to fingerprints, such as
    `{"type": "CharField", "null": false, "max_length": 100}`; equal fingerprints mean equal columns. `scoped`: whether
    there may be rows out of scope; None where a side of an older version does not say."""

    key: tuple[str, ...]
    fields: Fields
    files: Fields = field(default_factory=dict)
    count: int = 0
    scoped: bool | None = None

    def to_plain(self) -> dict[str, Any]:
        return {
            "key": list(self.key),
            "fields": dict(self.fields),
            "files": dict(self.files),
            "count": self.count,
            **({} if self.scoped is None else {"scoped": self.scoped}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`features` names what a side offers beyond the protocol's least: "digests"."""

    models: Mapping[str, ModelManifest]
    protocol: int = PROTOCOL
    features: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        return {
            "format": "data-sync-manifest",
            "features": list(self.features),
            "protocol": self.protocol,
            "models": {label: model.to_plain() for label, model in self.models.items()},
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
    features = document.get("features", [])
    if not isinstance(features, list) or not all(isinstance(feature, str) for feature in features):
        raise MalformedStream("The manifest's features are not a list of names.")
    return Manifest(
        models={label: _parse_model(label, model) for label, model in models.items()}, features=tuple(features)
    )


def _parse_model(label: str, model: Any) -> ModelManifest:
    match model:
        case {"key": list(key), "fields": dict(fields), "files": dict(files), "count": int(count)} if (
            all(isinstance(part, str) for part in key)
            and all(isinstance(shape, dict) for shape in (*fields.values(), *files.values()))
            and not isinstance(count, bool)
            and 0 <= count <= MAX_COUNT
            and isinstance(model.get("scoped", False), bool)
        ):
            return ModelManifest(key=tuple(key), fields=fields, files=files, count=count, scoped=model.get("scoped"))
        case _:
            raise MalformedStream(f"The manifest describes {label} in a way this side does not know.")


def schema_differences(here: Manifest, there: Manifest, models: Iterable[str]) -> list[dict[str, str]]:
    """Every difference between two sides, as `{"model", "field", "difference"}`.

    `difference` is words that follow the names ("is only here"); `field` is "" where it is the model's.
    """
    return [
        {"model": label, "field": name, "difference": difference}
        for label in models
        for name, difference in _model_differences(here.models.get(label), there.models.get(label))
    ]


def _model_differences(ours: ModelManifest | None, theirs: ModelManifest | None) -> Iterator[tuple[str, str]]:
    if ours is None or theirs is None:
        yield "", f"is not registered {'here' if ours is None else 'at the source, or its key may not read it'}"
        return
    if ours.key != theirs.key:
        yield "", f"has the natural key {list(ours.key)} here and {list(theirs.key)} at the source"
    yield from _field_differences(ours.fields, theirs.fields)
    yield from _field_differences(ours.files, theirs.files)


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

"""What is known of a registered model: which columns make a record, and how. `resolution` makes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.fields.reverse_related import ForeignObjectRel

from data_sync import registry
from data_sync.core import canonical
from data_sync.core.errors import RegistrationError
from data_sync.core.manifest import GENERIC, Keys, ModelManifest
from data_sync.registry import Registration
from data_sync.registry.inheritance import tables_of

from .fingerprints import fingerprint
from .tables import table
from .values import Codec, Field

if TYPE_CHECKING:
    from django.contrib.contenttypes.fields import GenericForeignKey

Path = tuple[str, ...]

_FORM = frozenset({"type", "decimal_places", "aware", "model", "key", "key_types"})
"""What of a fingerprint makes one value's text; the rest only says which values a column takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A plain column."""

    name: str
    field: Field
    codec: Codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A foreign key or one-to-one. `target` is the model whose natural key stands for the row."""

    name: str
    field: models.ForeignKey[Any, Any]
    target: type[models.Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A plain many-to-many: its rows in the through table belong to this side."""

    name: str
    field: models.ManyToManyField[Any, Any]
    target: type[models.Model]
    through: type[models.Model]
    source_column: str
    target_column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generic:
    """A generic foreign key, one member in place of its two columns: `[label, natural key]` of its target, or null."""

    name: str
    field: GenericForeignKey
    type_field: models.ForeignKey[Any, Any]
    object_field: Field

    @property
    def null(self) -> bool:
        """Whether the columns can say that there is no target: no content type, and no object or an empty text."""
        return self.type_field.null and (self.object_field.null or self.nothing == "")

    @property
    def nothing(self) -> str | None:
        """What the column of the object's primary key holds where there is no target."""
        is_text = isinstance(self.object_field, models.CharField | models.TextField)
        return "" if is_text and not self.object_field.null else None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    name: str
    field: models.FileField


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPart:
    """One part of a natural key: `path` from the model, `leaf` the field at its end."""

    path: Path
    leaf: Field
    codec: Codec

    @property
    def lookup(self) -> str:
        return "__".join(self.path)


@dataclass(frozen=True, kw_only=True)
class ModelSchema:
    """Everything reading, comparing and writing need to know of one registered model.

    `parent_link` is the reference, among `references`, to the parent's row where a multi-table parent is registered
    itself: inherited fields are then the parent's. Without one, inherited fields are this model's own. `omitted` names
    the fields that were taken out by `without`; `redacted` the members of `fields` that are shown nowhere, because this
    side's registration says so or the source's.
    """

    registration: Registration
    model: type[models.Model]
    key: tuple[KeyPart, ...]
    values: tuple[Value, ...]
    references: tuple[Reference, ...]
    links: tuple[Link, ...]
    files: tuple[File, ...]
    carried: tuple[Value, ...]
    generics: tuple[Generic, ...] = ()
    parent_link: Reference | None = None
    omitted: tuple[str, ...] = ()
    redacted: frozenset[str] = frozenset()

    @cached_property
    def label(self) -> str:
        return self.registration.label

    @property
    def relations(self) -> tuple[Reference | Link, ...]:
        return (*self.references, *self.links)

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The members of a record's `fields` that are columns of the row itself."""
        return (*(value.name for value in self.values), *(reference.name for reference in self.references))

    @cached_property
    def field_names(self) -> tuple[str, ...]:
        """The members of a record's `fields`."""
        return (
            *self.column_names,
            *(link.name for link in self.links),
            *(generic.name for generic in self.generics),
        )

    def without(self, names: Iterable[str]) -> ModelSchema:
        """The schema less these fields and files, which the other side has not or has in another form.

        Raises `RegistrationError` where one of them is part of the natural key.
        """
        left_out = frozenset(names)
        if not left_out:
            return self
        in_key = sorted(left_out & {part.path[0] for part in self.key})
        if in_key:
            raise RegistrationError(f"{self.label} cannot be synced without {in_key[0]}, which is in its natural key.")
        return replace(
            self,
            values=tuple(value for value in self.values if value.name not in left_out),
            references=tuple(reference for reference in self.references if reference.name not in left_out),
            links=tuple(link for link in self.links if link.name not in left_out),
            generics=tuple(generic for generic in self.generics if generic.name not in left_out),
            files=tuple(file for file in self.files if file.name not in left_out),
            parent_link=None if self.parent_link is None or self.parent_link.name in left_out else self.parent_link,
            omitted=tuple(sorted(left_out)),
            redacted=self.redacted - left_out,
        )

    def redacting(self, names: Iterable[str]) -> ModelSchema:
        """The schema with these members of `fields` redacted, too; names that are none of them count for nothing."""
        more = frozenset(names) & set(self.field_names) - self.redacted
        return replace(self, redacted=self.redacted | more) if more else self

    def shape(self) -> str:
        """A digest of what records of this schema hold: only digests of records of one shape compare."""
        manifest = self.manifest(0)
        forms = {
            name: {trait: value for trait, value in shape.items() if trait in _FORM}
            for name, shape in manifest.fields.items()
        }
        # A generic foreign key may name a row of any of them.
        targets = [natural_keys()] if self.generics else []
        parts = [self.label, list(manifest.key), forms, sorted(manifest.files), *targets]
        return canonical.digest(canonical.dumps(parts))

    @property
    def pk(self) -> Field:
        return self.model._meta.pk

    @property
    def tables(self) -> tuple[type[models.Model], ...]:
        """The models whose tables hold a row of this schema, ancestors first.

        One but where the model inherits from tables: those of parents that are not registered are then among them.
        """
        return tables_of(self.model)

    def rows(self, using: str) -> models.QuerySet[Any]:
        """The rows in scope, whatever the managers of the model hide. Raises `RegistrationError` for a scope that
        cannot be narrowed."""
        rows = table(self.model, using)
        scope = self.registration.queryset
        if scope is None:
            return rows
        scoped = scope(rows)
        if scoped.query.is_sliced or scoped.query.combinator:
            raise RegistrationError(
                f"The queryset of {self.label} is sliced or combined, but its rows are read in parts. Filter instead."
            )
        # Joined with many rows each, a row would come several times.
        return rows.filter(pk__in=scoped.order_by().values("pk")) if _multiplies(scoped) else scoped

    def every_row(self, using: str) -> models.QuerySet[Any]:
        """All rows of the table, in scope or not."""
        return table(self.model, using)

    def manifest(self, count: int) -> ModelManifest:
        fields = {value.name: fingerprint(value.field) for value in self.values}
        for relation in self.relations:
            fields[relation.name] = {
                "type": type(relation.field).__name__,
                "null": relation.field.null,
                "model": relation.target._meta.label_lower,
                **_natural_key(relation.target),
            }
        for generic in self.generics:
            fields[generic.name] = {
                "type": GENERIC,
                "null": generic.null,
            }
        return ModelManifest(
            key=tuple(".".join(part.path) for part in self.key),
            fields=fields,
            files={file.name: {"type": "file", "null": file.field.null} for file in self.files},
            count=count,
            scoped=self.registration.queryset is not None,
            redacted=tuple(sorted(self.redacted)),
        )


def natural_keys() -> Keys:
    """By label, how the rows of every registered model are named by those that refer to them. Not to be altered."""
    global _named
    registrations = registry.registrations()
    if registrations is not _named[0]:
        _named = registrations, {one.label: _named_by(one.model, one.key) for one in registrations}
    return _named[1]


_named: tuple[tuple[Registration, ...], Keys] = ((), {})


def _multiplies(rows: models.QuerySet[Any]) -> bool:
    """Whether a queryset goes over relations that lead to several rows."""
    joins = [getattr(table, "join_field", None) for table in rows.query.alias_map.values()]
    return any(isinstance(join, ForeignObjectRel) and join.multiple for join in joins)


def _natural_key(model: type[models.Model]) -> Mapping[str, list[str]]:
    """How the rows of a model are named by those that refer to them, which need not be compared beside it."""
    registration = registry.registration_of(model)
    return _named_by(model, ()) if registration is None else natural_keys()[registration.label]


def _named_by(model: type[models.Model], paths: Iterable[str]) -> dict[str, list[str]]:
    return {"key": [*paths], "key_types": [fingerprint(_leaf(model, path))["type"] for path in paths]}


def _leaf(model: Any, path: str) -> Field:
    """The field at the end of a path of a natural key."""
    *through, name = path.split(".")
    for relation in through:
        model = model._meta.get_field(relation).related_model
    leaf: Field = model._meta.get_field(name)
    return leaf

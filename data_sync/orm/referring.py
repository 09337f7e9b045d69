"""Which rows refer to some rows, by foreign key or generically, and what becomes of them if those are deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models

from data_sync import registry
from data_sync.registry.inheritance import is_inner_link, parent_links, tables_of

from .batches import batches
from .resolution import schema_of, schemas
from .schema import ModelSchema
from .tables import table
from .values import integers

Effect = Literal["delete", "null", "default", "set", "protect", "restrict", "nothing", "unlink"]
STAYING: frozenset[Effect] = frozenset({"null", "default", "set"})
"""What becomes of rows that stay, and refer to something else or to nothing."""
Model = type[models.Model]
Row = tuple[Model, Any]
"""A row by model and primary key. The model is the one that is registered, where one is: a proxy, or the child of an
unregistered multi-table parent that the row is a part of."""

_EFFECTS: dict[str, Effect] = {
    "CASCADE": "delete",
    "DB_CASCADE": "delete",
    "PROTECT": "protect",
    "RESTRICT": "restrict",
    "SET_NULL": "null",
    "DB_SET_NULL": "null",
    "SET_DEFAULT": "default",
    "DB_SET_DEFAULT": "default",
    "DO_NOTHING": "nothing",
}


@dataclass(frozen=True, slots=True)
class Cascade:
    """One row that a delete reaches, by which field, and what becomes of it.

    `with_parents`: if it goes, so do the rows of its registered parents, as Django's own deletions have it. Not where
    it goes because its parent's row does: nothing of the others has to go.
    """

    model: Model
    pk: Any
    effect: Effect
    column: str
    with_parents: bool = True


class Referring:
    """Finds the rows that refer to others, in a handful of queries for each model and batch.

    `compared` has the schemas that are less than those of the registrations: what they leave out is in no record.
    """

    def __init__(self, using: str, compared: Mapping[str, ModelSchema]) -> None:
        self._using = using
        self._compared = compared

    def to(self, model: Model, pks: list[Any], *, whole: bool) -> Iterator[tuple[Cascade, Row]]:
        """Every row that refers to one of these, with that one.

        `whole`: the rows go with those of their registered parents, which are among what is found. Otherwise the
        parents' rows stay, and with them what refers to those.
        """
        own = tables_of(model)
        links = self._own_links(model, whole=whole)
        relations: list[Any] = model._meta.get_fields(include_hidden=True)
        for relation in relations:
            if not relation.auto_created or relation.concrete or not (relation.one_to_many or relation.one_to_one):
                continue
            goes = whole or relation.model._meta.concrete_model in own
            if goes and not is_inner_link(model, relation.field) and not _is_one_of(relation.field, links):
                yield from self._rows_of_relation(model, relation, pks)
        for kind in dict.fromkeys((*own, model)):
            yield from self._generic_rows(model, kind, pks)
        if whole:
            for parent, link in parent_links(model).items():
                for batch in batches(pks):
                    rows = table(model, self._using).filter(pk__in=batch).order_by("pk")
                    for pk, parent_pk in rows.values_list("pk", link.attname):
                        yield Cascade(_known_as(parent), parent_pk, "delete", link.name), (model, pk)

    # Foreign keys

    def _rows_of_relation(self, model: Model, relation: Any, pks: list[Any]) -> Iterator[tuple[Cascade, Row]]:
        column, referring = relation.field, relation.related_model
        target = column.target_field.attname
        on_delete = getattr(relation.on_delete, "__name__", "") or str(relation.on_delete)
        is_link = referring._meta.auto_created and registry.registration_of(referring) is None
        effect: Effect = "unlink" if is_link else _EFFECTS.get(on_delete, "set")
        if effect == "default" and not self._default_stays(column, pks):
            effect = "protect"
        for batch in batches(pks):
            values: dict[Any, Any] = {pk: pk for pk in batch}
            if target != model._meta.pk.attname:
                values = dict(table(model, self._using).filter(pk__in=batch).values_list(target, "pk"))
            rows = table(referring, self._using).filter(**{f"{column.attname}__in": list(values)}).order_by("pk")
            found = rows.values_list("pk", column.attname).iterator(chunk_size=2000)
            for some in batches(found):
                known = rows_known_as(referring, [pk for pk, _ in some], self._using)
                for pk, value in some:
                    cascade = Cascade(*known[pk], effect, column.name, not column.remote_field.parent_link)
                    yield cascade, (model, values[value])

    def _default_stays(self, column: Any, going: list[Any]) -> bool:
        """Whether a reference can get its default: null, or a row that is there and does not go itself.

        What SET(...) gives is only known when it is asked for, which may write.
        """
        if getattr(column.remote_field.on_delete, "__name__", "") != "SET_DEFAULT":
            return True
        default = column.get_default()
        if default is None:
            return bool(column.null)
        rows = table(column.related_model, self._using).filter(**{column.target_field.attname: default})
        pk = rows.values_list("pk", flat=True).first()
        return pk is not None and pk not in going

    def _own_links(self, model: Model, *, whole: bool) -> list[Any]:
        """The many-to-many fields whose rows are part of the record of what is deleted."""
        schema = schema_of(model)
        if schema is None or schema.model is not model:
            return list(model._meta.many_to_many)
        links: list[Any] = [link.field for link in self._compared.get(schema.label, schema).links]
        for parent in parent_links(model) if whole else ():
            links += self._own_links(_known_as(parent), whole=True)
        return links

    # Generic foreign keys

    def _generic_rows(self, model: Model, kind: Model, pks: list[Any]) -> Iterator[tuple[Cascade, Row]]:
        """Rows of a `GenericRelation`, which go along, and rows that are synced and would refer to nothing."""
        seen = set()
        for relation in kind._meta.private_fields:
            if hasattr(relation, "bulk_related_objects"):
                holder: Any = relation.related_model
                columns = (relation.content_type_field_name, relation.object_id_field_name)
                seen.add((holder, columns))
                yield from self._holders(model, kind, pks, holder, columns, relation.for_concrete_model, "delete")
        if registry.registration_of(kind) is None:
            return
        for schema in schemas().values():
            for generic in schema.generics:
                columns = (generic.type_field.name, generic.object_field.name)
                if (schema.model, columns) not in seen:
                    concrete = generic.field.for_concrete_model
                    yield from self._holders(model, kind, pks, schema.model, columns, concrete, "nothing")

    def _holders(
        self,
        model: Model,
        kind: Model,
        pks: list[Any],
        holder: Model,
        columns: tuple[str, str],
        concrete: bool,
        effect: Effect,
    ) -> Iterator[tuple[Cascade, Row]]:
        """Rows of `holder` that refer by these columns to the rows' parts of one kind."""
        from django.contrib.contenttypes.models import ContentType

        of_kind: Any = kind._meta.concrete_model if concrete else kind
        meta = of_kind._meta
        types = table(ContentType, self._using).filter(app_label=meta.app_label, model=meta.model_name)
        type_pk = types.values_list("pk", flat=True).first()
        if type_pk is None:
            return
        field: Any = holder._meta.get_field(columns[1])
        generics = [generic for generic in holder._meta.private_fields if hasattr(generic, "ct_field")]
        name = next((one.name for one in generics if (one.ct_field, one.fk_field) == columns), columns[1])
        for batch in batches(pks):
            values: dict[Any, Any] = {}
            parts = table(model, self._using).filter(pk__in=batch).values_list(kind._meta.pk.attname, "pk")
            for part, pk in ((pk, pk) for pk in batch) if kind is model else parts:
                values |= dict.fromkeys(forms_of(field, part, self._using), pk)
            rows = table(holder, self._using).filter(**{columns[0]: type_pk, f"{columns[1]}__in": list(values)})
            found = rows.order_by("pk").values_list("pk", columns[1]).iterator(chunk_size=2000)
            for some in batches(found):
                known = rows_known_as(holder, [pk for pk, _ in some], self._using)
                for pk, value in some:
                    yield Cascade(*known[pk], effect, name), (model, values[value])


def rows_known_as(model: Model, pks: list[Any], using: str) -> Mapping[Any, Row]:
    """The registered rows that these rows of a table are; the rows themselves where they are of none."""
    found: dict[Any, Row] = {pk: (_known_as(model), pk) for pk in pks}
    if registry.registration_of(model) is None:
        for schema in schemas().values():
            if model in schema.tables:
                attname = model._meta.pk.attname
                rows = table(schema.model, using).filter(**{f"{attname}__in": pks})
                found |= {part: (schema.model, pk) for part, pk in rows.values_list(attname, "pk")}
    return found


def forms_of(field: Any, pk: Any, using: str) -> Iterator[Any]:
    """How the object's column of a generic foreign key may hold a primary key; none where it cannot."""
    taken = integers(field, using) if isinstance(field, models.IntegerField) else None
    for form in (pk, pk.hex) if isinstance(pk, UUID) else (pk,):
        with suppress(ValidationError, ValueError, TypeError):
            value = field.to_python(form)
            if taken is None or value in taken:
                yield value


def _is_one_of(column: Any, links: Iterable[Any]) -> bool:
    """Whether a column of a through table is the declaring side's of one of these links."""
    through = column.model
    return (
        bool(through._meta.auto_created)
        and registry.registration_of(through) is None
        and any(link.remote_field.through is through and link.m2m_field_name() == column.name for link in links)
    )


def _known_as(model: Model) -> Model:
    """The registered model of a table; the model itself where there is none."""
    registration = registry.registration_of(model)
    return model if registration is None else registration.model

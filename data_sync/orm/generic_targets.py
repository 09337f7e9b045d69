"""What generic foreign keys refer to: from content types and primary keys to labels and natural keys, and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from data_sync.core import canonical

from .references import KeysOfRows
from .resolution import schema_of
from .schema import Generic, ModelSchema
from .tables import table

Pair = tuple[Any, Any]
"""Content type and object, as a row's columns have them."""


class NoTarget(Exception):
    """`pair` refers to nothing that a record could say; `why` goes on a sentence that names the row and the field."""

    def __init__(self, pair: Pair, why: str) -> None:
        super().__init__(why)
        self.pair = pair
        self.why = why


class GenericKeys:
    """Finds the labels and natural keys of the targets of one generic foreign key, a few queries a batch.

    Content types are read from the database, not from Django's cache: that of a long-lived process may be out of date.
    """

    def __init__(self, generic: Generic, using: str) -> None:
        self._generic = generic
        self._using = using
        self._schemas: dict[Any, ModelSchema | str] = {}
        self._keys: dict[str, KeysOfRows] = {}

    def texts(self, pairs: Collection[Pair]) -> Mapping[Pair, str]:
        """The canonical JSON of the member for each pair of columns. Raises `NoTarget`."""
        distinct = dict.fromkeys(pairs)
        self._load_types({type_pk for type_pk, _ in distinct} - {None})
        found: dict[Pair, str] = {}
        of_types: dict[Any, dict[Any, Pair]] = {}
        for pair in distinct:
            type_pk, identifier = pair
            if type_pk is None and identifier in (None, self._generic.nothing):
                found[pair] = "null"
                continue
            if type_pk is None or identifier is None:
                raise NoTarget(
                    pair, f"half: {self._generic.type_field.name} is {type_pk!r}, {self._column} {identifier!r}"
                )
            schema = self._schemas[type_pk]
            if isinstance(schema, str):
                raise NoTarget(pair, schema)
            try:
                of_types.setdefault(type_pk, {})[pair] = schema.pk.to_python(identifier)
            except (ValidationError, ValueError, TypeError):
                raise NoTarget(pair, f"{schema.label} {identifier!r}, which cannot be a primary key there") from None
        for type_pk, pks in of_types.items():
            self._describe(self._schemas[type_pk], pks, found)
        return found

    @property
    def _column(self) -> str:
        return self._generic.object_field.name

    def _describe(self, schema: Any, pks: Mapping[Pair, Any], found: dict[Pair, str]) -> None:
        keys = self._keys.setdefault(schema.label, KeysOfRows(schema.model, "pk", self._using))
        known = keys.load(set(pks.values()))
        for pair, pk in pks.items():
            if pk not in known:
                raise NoTarget(pair, f"a row of {schema.label} that does not exist ({pk!r})")
            found[pair] = canonical.array([canonical.quote(schema.label), canonical.array(known[pk])])

    def _load_types(self, wanted: set[Any]) -> None:
        from django.contrib.contenttypes.models import ContentType

        missing = wanted - self._schemas.keys()
        if missing:
            for kind in table(ContentType, self._using).filter(pk__in=missing):
                self._schemas[kind.pk] = self._schema_or_reason(kind)
        for type_pk in missing - self._schemas.keys():
            self._schemas[type_pk] = f"a content type that does not exist ({type_pk!r})"

    def _schema_or_reason(self, kind: Any) -> ModelSchema | str:
        model = kind.model_class()
        schema = None if model is None else schema_of(model)
        if schema is None:
            return f"a row of {kind.app_label}.{kind.model}, which is not registered"
        if _model_of_type(self._generic, schema) is not model:
            return (
                f"{kind.app_label}.{kind.model}, a content type apart from that of {schema.label}, which is registered"
            )
        return schema


def stored_type_pk(generic: Generic, schema: ModelSchema, using: str) -> Any | None:
    """The primary key of the content type that stands for a registered model in this field; None if there is none."""
    from django.contrib.contenttypes.models import ContentType

    meta = _model_of_type(generic, schema)._meta
    kinds = table(ContentType, using).filter(app_label=meta.app_label, model=meta.model_name)
    return kinds.values_list("pk", flat=True).first()


def content_type_pk(generic: Generic, schema: ModelSchema, using: str) -> Any:
    """The primary key of the content type that stands for a registered model in this field; made if there is none."""
    from django.contrib.contenttypes.models import ContentType

    meta = _model_of_type(generic, schema)._meta
    kinds = table(ContentType, using)
    # Not from Django's cache, which may hold what another process has since removed.
    return kinds.get_or_create(app_label=meta.app_label, model=meta.model_name)[0].pk


def object_value(generic: Generic, pk: Any) -> Any:
    """What the column of the object's primary key holds for a target. Raises `ValidationError` if it cannot hold it."""
    return generic.object_field.to_python(pk)


def _model_of_type(generic: Generic, schema: ModelSchema) -> Any:
    """The model whose content type a field gives to rows of a registered model."""
    for_concrete: bool = generic.field.for_concrete_model
    return schema.model._meta.concrete_model if for_concrete else schema.model

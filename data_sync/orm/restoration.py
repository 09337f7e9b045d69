"""Bringing back rows that deletes have taken away: as they were, under their old primary keys where those are free."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, models, transaction
from django.db.models.signals import post_save, pre_save

from data_sync.registry.inheritance import tables_of

from .among import among
from .batches import batches
from .going import table_of
from .insertion import insert_into
from .refusals import is_about_rows, words_of
from .remains import own_columns
from .schema import ModelSchema
from .sequences import GivenKeys
from .tables import table
from .values import Field, column_codec
from .writes import Bare, columns_of

Model = type[models.Model]
Fail = Callable[[int, str], None]
FindTaken = Callable[[Model, Collection[Any]], Collection[Any]]
"""Gives those of some primary keys in a table whose rows went by the same changeset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A kept row, and the number of the change that brings it back. `values` as `remains.Remains` has them."""

    number: int
    model: Model
    pk: Any
    effect: str
    column: str
    values: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"the row of {self.model._meta.label_lower} with the primary key {self.pk!r}"


Values = dict[str, Any]
"""What an instance takes, by field name."""


class Restoration:
    """Brings rows back, table by table. `fail` is told by change number what cannot be.

    Rows that come back may have other primary keys than before: `moved` has them, by table and old key, and what is
    brought back refers to those. A reference to a row that is not there is null for now, if it may be; `finish` fills
    it in where the row has come back since, and refuses one to a row that still could, as `find_taken` says. Others
    stay null.
    """

    def __init__(self, using: str, fail: Fail, find_taken: FindTaken, *, is_silent: bool = False) -> None:
        self._using = using
        self._fail = fail
        self._find_taken = find_taken
        self._is_silent = is_silent
        self.moved: dict[tuple[Model, Any], Any] = {}
        self._moved_texts: dict[tuple[Model | None, str], Any] = {}
        self._restored: set[tuple[Model, Any]] = set()
        self._later: list[tuple[Kept, Field, Any]] = []

    # Deleted rows, which the writer creates

    def beside(self, schema: ModelSchema, rows: Sequence[Kept]) -> dict[int, Values]:
        """By change number, what the row's columns are to hold that are in no record. Its primary key is left out
        where that is taken."""
        known = {*columns_of(schema, schema.field_names)}
        known |= {value.name for value in schema.carried} | {file.name for file in schema.files}
        fields = [field for field in own_columns(schema.model) if field.name not in known]
        keys = {field.name for field in fields if _is_key(field)}
        given = {row.number: _python(fields, row.values) for row in rows}
        taken = self._taken(tables_of(schema.model), [row.pk for row in rows])
        for row in rows:
            if row.pk in taken:
                given[row.number] = {name: value for name, value in given[row.number].items() if name not in keys}
        others = [field for field in fields if field.name not in keys]
        self._follow(others, [(row, given[row.number]) for row in rows])
        return given

    def note_root(self, model: Model, old: Any, new: Any) -> None:
        """A deleted row is there again, with this primary key."""
        for part in dict.fromkeys((*tables_of(model), model._meta.concrete_model or model)):
            self._note(part, old, new)

    def _note(self, part: Model, old: Any, new: Any) -> None:
        self._restored.add((part, old))
        if new != old:
            self.moved[part, old] = new
            self._moved_texts[part, str(old)] = new

    # Rows that went along

    def insert(self, part: Model, rows: Sequence[Kept]) -> None:
        """Inserts what some rows hold in one of their tables. Those that they must refer to are there already."""
        fields = [field for field in part._meta.local_concrete_fields if not field.generated]
        pk: Any = part._meta.pk
        left = [row for row in rows if (part, self._old_key(part, row)) not in self._restored]
        pairs = [(row, _python(fields, row.values)) for row in left]
        refused = self._follow([field for field in fields if isinstance(field, models.ForeignKey)], pairs)
        pairs = [(row, values) for number, (row, values) in enumerate(pairs) if number not in refused]
        if part._meta.auto_created:
            pairs = self._without_present_links(part, fields, pairs)
        if not isinstance(pk, models.ForeignKey):
            taken = self._taken([part], [values[pk.name] for _, values in pairs])
            for _, values in pairs:
                if values[pk.name] in taken:
                    values[pk.name] = None if isinstance(pk, models.AutoField) else pk.get_pk_value_on_save(Bare(None))
        self._insert(part, fields, pairs)

    def _old_key(self, part: Model, row: Kept) -> Any:
        return _python([part._meta.pk], row.values)[part._meta.pk.name]

    def _without_present_links(self, part: Model, fields: Sequence[Field], pairs: Any) -> Any:
        """Links that are there again already are not doubled."""
        names = [field.attname for field in fields if isinstance(field, models.ForeignKey)]
        refs = [field.name for field in fields if isinstance(field, models.ForeignKey)]
        present: set[tuple[Any, ...]] = set()
        for batch in batches(pairs):
            rows = table(part, self._using).filter(among(names[0], {values[refs[0]] for _, values in batch}))
            present |= set(rows.values_list(*names))
        kept = []
        for row, values in pairs:
            pair = tuple(values[name] for name in refs)
            if pair not in present:
                present.add(pair)
                kept.append((row, values))
        return kept

    def _insert(self, part: Model, fields: Sequence[Field], pairs: Sequence[tuple[Kept, Values]]) -> None:
        """In halves, where the database refuses, until it is known which rows those are."""
        if not pairs:
            return
        try:
            with transaction.atomic(using=self._using):
                made = self._insert_together(part, fields, pairs)
        except DatabaseError as error:
            if not is_about_rows(error, self._using):
                raise
            if len(pairs) == 1:
                row = pairs[0][0]
                self._fail(row.number, f"{row.name} cannot be brought back: {words_of(error, ())}.")
                return
            half = len(pairs) // 2
            self._insert(part, fields, pairs[:half])
            self._insert(part, fields, pairs[half:])
        else:
            for (row, _), bare in zip(pairs, made, strict=True):
                self._note(part, self._old_key(part, row), bare.pk)

    def _insert_together(self, part: Model, fields: Sequence[Field], pairs: Sequence[tuple[Kept, Values]]) -> list[Any]:
        pk: Any = part._meta.pk
        made: list[Any] = []
        for _, values in pairs:
            bare = Bare(values[pk.name])
            for field in fields:
                # A column that has been added since is filled as in any new row.
                setattr(bare, field.attname, values[field.name] if field.name in values else field.get_default())
            made.append(bare)
        keyed: list[Any] = [bare for bare in made if bare.pk is not None]
        unkeyed = [bare for bare in made if bare.pk is None]
        self._send(pre_save, part, made)
        if keyed:
            insert_into(part, keyed, fields, self._using, wants_pk=False)
        if unkeyed:
            insert_into(part, unkeyed, [field for field in fields if field is not pk], self._using, wants_pk=True)
            for bare in unkeyed:
                bare.pk = getattr(bare, pk.attname)
        if isinstance(pk, models.AutoField) and not self._is_silent:
            GivenKeys(part, keyed).count_past(self._using)
        self._send(post_save, part, made, created=True)
        return made

    def _send(self, signal: Any, part: Model, rows: Sequence[Any], **more: Any) -> None:
        if self._is_silent or part._meta.auto_created or not signal.has_listeners(part):
            return
        names = [field.attname for field in part._meta.local_concrete_fields if not field.generated]
        for row in rows:
            instance = part.from_db(self._using, names, [getattr(row, name) for name in names])
            signal.send(sender=part, instance=instance, raw=True, using=self._using, update_fields=None, **more)

    # References

    def set_back(self, rows: Sequence[Kept]) -> None:
        """Gives rows their references back by one column, where they still are as the delete left them."""
        model, field = rows[0].model, _field(rows[0].model, rows[0].column)
        by_pk = {self.moved.get((model, row.pk), row.pk): row for row in rows}
        now: dict[Any, Any] = {}
        for batch in batches(by_pk):
            now |= dict(table(model, self._using).filter(among("pk", batch)).values_list("pk", field.attname))
        wanted = {
            pk: _python([field], row.values)[field.name]
            for pk, row in by_pk.items()
            if pk in now and _is_as_left(field, row.effect, now[pk])
        }
        self._refer(model, field, wanted)

    def finish(self) -> None:
        """Fills in references that had to wait. Those to rows that could still come back are refused: were they null
        now, nothing would know of them any more."""
        groups: dict[tuple[Model, Field], list[tuple[Kept, Any]]] = {}
        for row, field, value in self._later:
            groups.setdefault((row.model, field), []).append((row, value))
        for (model, field), waiting in groups.items():
            wanted = {self.moved.get((model, row.pk), row.pk): value for row, value in waiting}
            present = self._refer(model, field, wanted)
            left = {value for value in wanted.values() if self._moved_value(field, value) not in present}
            taken = self._find_taken(table_of(field), left) if left else ()
            for row, value in waiting:
                if value in taken:
                    self._fail(row.number, _needs(row, field, value))

    def _refer(self, model: Model, field: Field, wanted: Mapping[Any, Any]) -> set[Any]:
        """Sets a reference of some rows, by primary key, where it leads to a row. Gives the values that do."""
        values = {pk: self._moved_value(field, value) for pk, value in wanted.items()}
        present = self._present(field, values.values())
        groups: dict[Any, list[Any]] = {}
        for pk, value in values.items():
            if value in present:
                groups.setdefault(value, []).append(pk)
        for value, pks in groups.items():
            for batch in batches(pks):
                table(model, self._using).filter(pk__in=batch).update(**{field.attname: value})
        return present

    def _follow(self, fields: Iterable[Field], pairs: Sequence[tuple[Kept, Values]]) -> set[int]:
        """Makes references lead to where rows are now. Gives the places of those that cannot be: `fail` knows."""
        refused: set[int] = set()
        for field in fields:
            if not isinstance(field, models.ForeignKey):
                continue
            column: Any = field
            numbered = ((place, row, values) for place, (row, values) in enumerate(pairs))
            held = [(place, row, values) for place, row, values in numbered if values.get(field.name) is not None]
            for _, _, values in held:
                values[field.name] = self._moved_value(field, values[field.name])
            present = self._present(field, [values[field.name] for _, _, values in held])
            own = {row.pk for row, _ in pairs} if table_of(field) in {table_of_row(row) for row, _ in pairs} else set()
            for place, row, values in held:
                value = values[field.name]
                if value in present or not column.db_constraint:
                    continue
                if field.null:
                    self._later.append((row, field, value))
                    values[field.name] = None
                elif row.effect == "unlink":
                    refused.add(place)  # The other row is gone by now, and with it there is nothing to link.
                elif value not in own:
                    refused.add(place)
                    self._fail(row.number, _needs(row, field, value))
        self._follow_generic(pairs)
        return refused

    def _follow_generic(self, pairs: Sequence[tuple[Kept, Values]]) -> None:
        for row, values in pairs if self.moved else ():
            for generic in row.model._meta.private_fields:
                ct, fk = getattr(generic, "ct_field", None), getattr(generic, "fk_field", None)
                if ct not in values or fk not in values or values[ct] is None:
                    continue
                from django.contrib.contenttypes.models import ContentType

                target = ContentType.objects.db_manager(self._using).get_for_id(values[ct]).model_class()
                new = self._moved_texts.get((target and target._meta.concrete_model, str(values[fk])))
                if new is not None:
                    values[fk] = _field(row.model, fk).to_python(new)

    def _moved_value(self, field: Any, value: Any) -> Any:
        return self.moved.get((table_of(field), value), value) if field.target_field.primary_key else value

    def _present(self, field: Any, values: Iterable[Any]) -> set[Any]:
        name = field.target_field.attname
        found: set[Any] = set()
        for batch in batches(dict.fromkeys(values)):
            rows = table(table_of(field), self._using).filter(among(name, batch))
            found |= set(rows.values_list(name, flat=True))
        return found

    def _taken(self, parts: Iterable[Model], pks: Sequence[Any]) -> set[Any]:
        taken: set[Any] = set()
        for part in parts:
            for batch in batches(pks):
                taken |= set(table(part, self._using).filter(among("pk", batch)).values_list("pk", flat=True))
        return taken


def table_of_row(row: Kept) -> Model:
    return row.model._meta.concrete_model or row.model


def _needs(row: Kept, field: Any, value: Any) -> str:
    return (
        f"{row.name} cannot be brought back: it refers by {field.name} to a row of "
        f"{field.remote_field.model._meta.label_lower} ({value!r}) that is not here any more. Bring that back, too, or "
        "first."
    )


def _is_key(field: Any) -> bool:
    return bool(field.primary_key or getattr(field.remote_field, "parent_link", False))


def _field(model: Model, name: str) -> Any:
    return model._meta.get_field(name)


def _python(fields: Iterable[Field], values: Mapping[str, Any]) -> Values:
    return {
        field.name: None if (plain := values[field.name]) is None else column_codec(field).from_plain(plain)
        for field in fields
        if field.name in values
    }


def _is_as_left(field: Any, effect: str, now: Any) -> bool:
    """Whether a reference holds what the delete has put there. What a callable of `SET` gave is not known."""
    match effect:
        case "null":
            return now is None
        case "default":
            default = field.get_default()
            return bool(now == getattr(default, "pk", default))
        case _:
            given = field.remote_field.on_delete.deconstruct()[1][0]
            return callable(given) or bool(now == getattr(given, "pk", given))

"""Keys that a database's collation takes for one: never merged, and found out before the database complains."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core import canonical
from data_sync.core.records import split_line
from data_sync.orm.collation import equal_texts, folds, known_forms
from data_sync.orm.references import KeysOfRows, RowsOfKeys
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema
from tests.hard.models import City, Gauge, Harbour, Nation, Room, Unit, Word

pytestmark = pytest.mark.django_db

FOLDING = connection.vendor == "mysql"
needs_folding = pytest.mark.skipif(not FOLDING, reason="only MariaDB's default collation folds")

EVERY_PLANE = [chr((plane << 16) + 0x0100) for plane in range(17)]
VARIANTS = ["word", "Word", "WORD ", "wörd", "wo\u0308rd", " word", "word\u00a0", *EVERY_PLANE]


def schema(model: type[Any]) -> ModelSchema:
    return schemas()[model._meta.label_lower]


def rows(model: type[Any]) -> RowsOfKeys:
    return RowsOfKeys(schema(model), "pk", "default")


def text(*parts: Any) -> str:
    return canonical.dumps(list(parts))


def test_a_row_is_found_by_exactly_its_own_key_whatever_the_collation() -> None:
    pk = Word.objects.create(text="word").pk
    found = rows(Word)
    found.load(text(variant) for variant in VARIANTS)
    assert {variant: found.all(text(variant)) for variant in VARIANTS} == {
        variant: [pk] if variant == "word" else [] for variant in VARIANTS
    }


def test_keys_of_every_plane_and_form_are_found_among_each_other() -> None:
    kept = []
    for variant in VARIANTS:
        if not Word.objects.filter(text=variant).exists():
            kept.append((variant, Word.objects.create(text=variant).pk))
    assert len(kept) == len(VARIANTS) or FOLDING
    found = rows(Word)
    found.load(text(variant) for variant, _ in kept)
    assert [found.get(text(variant)) for variant, _ in kept] == [pk for _, pk in kept]


@needs_folding
def test_a_reference_leads_where_the_database_has_it_lead() -> None:
    Nation.objects.create(code="FR")
    City.objects.create(nation_id="fr", name="Lyon")
    Gauge.objects.create(name="outside", unit_id=Unit.objects.create(name="degree", symbol="C").symbol.lower())
    assert KeysOfRows(Nation, "pk", "default").load(["fr", "FR", "de"]) == {"FR": ('"FR"',), "fr": ('"FR"',)}
    for model, name, key in ((City, "nation", ["FR"]), (Gauge, "unit", ["degree"])):
        [line] = RowReader(schema(model), "default").lines()
        assert split_line(line).record().fields[name] == key


@needs_folding
def test_texts_are_told_apart_as_the_column_does() -> None:
    field = Word._meta.get_field("text")
    classes = equal_texts(field, ["a", "A", "a ", " a", "á", "b", *EVERY_PLANE[1:]], "default")
    assert classes["a"] == classes["A"] == classes["a "] == classes["á"]
    assert len({classes["a"], classes[" a"], classes["b"]}) == 3
    Word.objects.create(text=EVERY_PLANE[1])
    by_database = {char: Word.objects.filter(text=char).exists() for char in EVERY_PLANE[1:]}
    assert by_database == {char: classes[char] == classes[EVERY_PLANE[1]] for char in EVERY_PLANE[1:]}


def test_many_texts_are_one_query_where_they_may_be_equal_and_none_elsewhere() -> None:
    field = Word._meta.get_field("text")
    texts = [f"{case}{number}%s'" for number in range(700) for case in "aA"]
    with CaptureQueriesContext(connection) as captured:
        classes = equal_texts(field, texts, "default")
    assert len(captured) == int(FOLDING)
    assert len(set(classes.values())) == (700 if FOLDING else 1400)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own collation")
def test_a_column_says_of_itself_that_it_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Nation._meta.get_field("name")
    assert not folds(field, "default")
    monkeypatch.setattr(field, "db_collation", "nocase")
    assert folds(field, "default")
    assert equal_texts(field, ["a", "A"], "default") == {"a": 0, "A": 1}, "the table was made without it"


@pytest.mark.skipif(connection.vendor == "postgresql", reason="no such column there")
def test_a_reference_folds_as_what_it_refers_to() -> None:
    field = Harbour.rooms.through._meta.get_field("harbour")
    assert known_forms(field, ["fr", "FR", "de", "ES"], ["FR", "es", "it"], "default") == {"fr": "FR", "ES": "es"}


@pytest.mark.skipif(connection.vendor == "postgresql", reason="no such column there")
def test_the_links_of_a_whole_chunk_may_be_in_another_case() -> None:
    room = Room.objects.create(name="one")
    Harbour.objects.bulk_create(Harbour(code=f"C{number:04}") for number in range(2000))
    through = Harbour.rooms.through
    through.objects.bulk_create(through(harbour_id=f"c{number:04}", room=room) for number in range(2000))
    read = [split_line(line).record() for line in RowReader(schema(Harbour), "default").lines()]
    assert [record.fields["rooms"] for record in read] == [[["one"]]] * 2000

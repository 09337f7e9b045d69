"""Tables and columns whose names need quotes."""

from __future__ import annotations

from tests.environments import Environments

from .bringing import bring, rows
from .models import Quoted, QuotedChild, Room, Wrapped


def filled(alias: str, words: str, order: int) -> None:
    room = rows(Room, alias).create(name="room")
    parent = None
    for number, word in enumerate(words.split()):
        row = rows(Quoted, alias).create(select=word, order=order + number, parent=parent)
        row.tags.add(room)
        rows(QuotedChild, alias).create(quoted=row, group=f"{alias} {word}")
        parent = row


def test_rows_come_change_and_go(environments: Environments) -> None:
    filled("source", "one two three", 1)
    filled("default", "zero three two", 5)
    bring(environments)
    held = rows(Quoted, "default").order_by("order").values_list("select", "parent__select", "quotedchild__group")
    assert list(held) == [("one", None, "source one"), ("two", "one", "source two"), ("three", "two", "source three")]


def test_a_row_that_is_there_twice_or_referred_to_is_told_apart(environments: Environments) -> None:
    filled("source", "a'b a\"b a`b a%sb a%%b {a} a;--", 1)
    bring(environments)
    assert rows(Quoted, "default").count() == 7


def test_a_table_whose_name_has_its_quotes_already(environments: Environments) -> None:
    for alias, names in (("source", "abc"), ("default", "bcd")):
        parent = None
        for place, name in enumerate(names):
            parent = rows(Wrapped, alias).create(name=name, place=place, parent=parent)
    bring(environments)
    held = rows(Wrapped, "default").values_list("name", "place", "parent__name")
    assert set(held) == {("a", 0, None), ("b", 1, "a"), ("c", 2, "b")}

"""Keys of every kind of text, also where a database takes unequal texts for equal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections

from data_sync.core.states import ChangesetState, Operation, PullState
from data_sync.models import Changeset
from tests.environments import Environments

from .bringing import bring, pending, problems, rows, words
from .models import Harbour, Nickname, Room, Sense, Word

pytestmark = pytest.mark.usefixtures("both_ways_on_sqlite")

PLANES = [chr(plane * 0x10000 + 0x61) for plane in (*range(3), 0xE)] + ["\ue000", "\U000f0061", "\U00100061", "\ufffd"]
TEXTS = [
    *PLANES,
    "Ünïcödé",
    "東京 タワー",
    "العربية",
    "עברית",
    "🏴\u200d☠️",
    "in\u00a0between",
    "tab\there",
    "line\nfeed",
    "\u202eturned",
    "'\"`;--%s",
    "q" * 190,
]
EXACT = "utf8mb4_nopad_bin"
VARIANTS = [
    ("straße", "STRASSE"),
    ("case", "CASE"),
    ("accent", "accént"),
    (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")),
    ("space", "space "),
    ("ﬁ", "fi"),
    ("İ", "i"),
    ("ａ", "a"),
    ("ı", "i"),
]


def hard_words(alias: str, texts: list[str], meaning: str = "") -> None:
    for text in texts:
        word = rows(Word, alias).create(text=text, meaning=meaning)
        rows(Sense, alias).create(word=word, name=text[:100])


def test_every_kind_of_text_is_a_key(environments: Environments) -> None:
    texts = _told_apart(TEXTS)
    hard_words("source", texts, "new")
    hard_words("default", texts[::2], "old")
    hard_words("default", ["gone"])
    bring(environments)
    assert set(rows(Word, "default").values_list("text", "meaning")) == {(text, "new") for text in texts}


def _told_apart(texts: list[str]) -> list[str]:
    """Those that can be in one column at once: MariaDB's default takes all characters beyond U+FFFF for one."""
    kept: list[str] = []
    for text in texts:
        if not any(_is_folded(text, other) for other in kept):
            kept.append(text)
    return kept


@pytest.mark.parametrize(("one", "other"), VARIANTS, ids=lambda text: ascii(text))
def test_a_key_that_changes_to_one_the_database_takes_for_equal(
    environments: Environments, one: str, other: str
) -> None:
    """The same row in another spelling, or another row: never both, and never a mixture."""
    hard_words("source", [one], "same")
    hard_words("default", [other], "same")
    changeset = pending(environments)
    if not problems(changeset):
        bring(environments)
        assert set(rows(Word, "default").values_list("text", flat=True)) == {one}
    else:
        assert one in _named(changeset) and other in _named(changeset)


@pytest.mark.parametrize(("one", "other"), VARIANTS, ids=lambda text: ascii(text))
def test_two_rows_stay_two_or_are_an_error_that_names_both(environments: Environments, one: str, other: str) -> None:
    """Where the target takes them for one, the source's column tells more texts apart than the target's."""
    if not _is_folded(one, other):
        hard_words("source", [one, other], "new")
        hard_words("default", [other], "old")
        bring(environments)
        assert set(rows(Word, "default").values_list("text", flat=True)) == {one, other}
        return
    with _collated("source", EXACT):
        assert_both_are_named(environments, one, other)


@pytest.mark.skipif(connection.vendor != "mysql", reason="only MariaDB's columns fold by themselves")
@pytest.mark.parametrize("new", [True, False], ids=["two new rows", "a new row and one that is here"])
@pytest.mark.parametrize(("one", "other"), [("æ", "ae"), ("ł", "l"), ("か", "カ"), ("đ", "d"), ("٣", "3")], ids=ascii)
def test_what_other_collations_take_for_one_is_an_error_that_names_both(
    environments: Environments, one: str, other: str, new: bool
) -> None:
    with _collated("default", "utf8mb4_uca1400_ai_ci"), _collated("source", EXACT):
        assert _is_folded(one, other)
        assert_both_are_named(environments, one, other, are_new=new)


def assert_both_are_named(environments: Environments, one: str, other: str, *, are_new: bool = False) -> None:
    hard_words("source", [one, other], "new")
    if not are_new:
        hard_words("default", [other], "old")
    with environments.untouched():
        pulled = environments.pull()
        if pulled.state == PullState.FAILED:
            assert one in pulled.error and other in pulled.error, pulled.error
            return
        changeset = Changeset.objects.get(pull=pulled)
        assert problems(changeset), "known before approval"
        assert one in _named(changeset) and other in _named(changeset)
        assert changeset.state in (ChangesetState.PENDING, ChangesetState.BLOCKED)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a collation of SQLite")
def test_a_column_with_a_collation_of_its_own_folds_case(environments: Environments) -> None:
    """Where the source has another spelling, the old row has to go before the new one can come."""
    rows(Nickname, "source").create(name="word", text="new")
    rows(Nickname, "default").create(name="WORD", text="old")
    changeset = pending(environments)
    old = changeset.changes.get(operation=Operation.DELETE)
    assert changeset.changes.get(operation=Operation.CREATE).requires == [old.number]
    bring(environments)
    assert rows(Nickname, "default").get().name == "word"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a collation of SQLite")
def test_two_rows_that_such_a_column_here_takes_for_one_are_named_before_approval(environments: Environments) -> None:
    with connections["source"].cursor() as cursor:
        cursor.execute("ALTER TABLE hard_nickname RENAME TO hard_nickname_folding")
        cursor.execute("CREATE TABLE hard_nickname (id integer PRIMARY KEY, name text UNIQUE, text text)")
        try:
            for name in ("word", "WORD"):
                rows(Nickname, "source").create(name=name, text="new")
            changeset = pending(environments)
            assert {code for codes in problems(changeset).values() for code in codes} == {"unique_collision"}
            said = words(changeset, "unique_collision")
            assert "word" in said and "WORD" in said
        finally:
            cursor.execute("DROP TABLE hard_nickname")
            cursor.execute("ALTER TABLE hard_nickname_folding RENAME TO hard_nickname")


def _named(changeset: Changeset) -> str:
    codes = {code for found in problems(changeset).values() for code in found}
    return " ".join(words(changeset, code) for code in codes)


def _is_folded(one: str, other: str) -> bool:
    """Whether the key's column takes the two for equal."""
    if connection.vendor != "mysql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT %s COLLATE utf8mb4_general_ci = %s COLLATE utf8mb4_general_ci".replace(
                "utf8mb4_general_ci", _collation()
            ),
            [one, other],
        )
        return bool(cursor.fetchone()[0])


def _collation() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT collation_name FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = 'hard_word' AND column_name = 'text'"
        )
        return str(cursor.fetchone()[0])


@contextmanager
def _collated(alias: str, collation: str) -> Iterator[None]:
    """The columns of one side compare by another collation; its rows are removed at the end."""
    usual = _collation()
    columns = (("hard_word", "text", 190), ("hard_sense", "name", 100))

    def collate(collation: str) -> None:
        with connections[alias].cursor() as cursor:
            for table, column, length in columns:
                cursor.execute(
                    f"ALTER TABLE {table} MODIFY `{column}` varchar({length}) "
                    f"CHARACTER SET utf8mb4 COLLATE {collation} NOT NULL"
                )

    collate(collation)
    try:
        yield
    finally:
        rows(Sense, alias).all().delete()
        rows(Word, alias).all().delete()
        collate(usual)


@pytest.mark.skipif(connection.vendor == "postgresql", reason="its foreign keys take texts as they are")
def test_links_that_name_their_row_in_another_case_are_its_links(environments: Environments) -> None:
    """Were they lost on reading, the source's would be offered for removal here."""
    wanted = {"source": ("kept", "new"), "default": ("kept", "gone")}
    for alias, names in wanted.items():
        rows(Harbour, alias).create(code="FR")
        for name in ("kept", "new", "gone"):
            room = rows(Room, alias).create(name=name)
            if name in names:
                rows(Harbour.rooms.through, alias).create(harbour_id="fr", room=room)
    kept = rows(Harbour.rooms.through, "default").get(room__name="kept").pk
    changeset = bring(environments)
    [change] = changeset.changes.all()
    assert (change.before["rooms"], change.after["rooms"]) == ([["gone"], ["kept"]], [["kept"], ["new"]])
    linked = rows(Harbour.rooms.through, "default")
    assert set(linked.values_list("harbour_id", "room__name")) == {("fr", "kept"), ("FR", "new")}
    assert linked.get(room__name="kept").pk == kept

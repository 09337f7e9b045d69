"""Texts, tables and progress on a terminal."""

from __future__ import annotations

import io
import re
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from data_sync.management import progress
from data_sync.management.text.marks import Paint, marked
from data_sync.management.text.table import table, wrapped
from data_sync.management.text.words import bounded, count, line, listing, moment, visible
from tests.admin import making
from tests.environments import Environments
from tests.testapp.models import Tag

from .conftest import Run, Terminal

no_database = pytest.mark.no_database


# Words


@no_database
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 大阪 café 👩‍💻", "plain 大阪 café 👩‍💻"),
        ("a\x1b[31mb", "a⟨U+001B⟩[31mb"),
        ("a\u200b\u200bb", "a⟨U+200B×2⟩b"),
        ("ends here  ", "ends here··"),
        ("one\ntwo", "one\ntwo"),
        ("a\u00a0b", "a⟨U+00A0⟩b"),
    ],
)
def test_what_cannot_be_seen_has_a_sign(text: str, shown: str) -> None:
    assert visible(text) == shown


@no_database
@given(st.text())
def test_one_line_stays_one_line(text: str) -> None:
    assert "\n" not in line(text) and all(character.isprintable() for character in line(text) if character < "\u0600")


@no_database
def test_small_words() -> None:
    assert (count(1, "change"), count(1200, "change"), count(0, "row")) == ("1 change", "1,200 changes", "0 rows")
    assert listing(["a", "b", "c"], 2) == "a, b and 1 more"
    assert bounded("x" * 30, 10) == "x" * 30, "what saves next to nothing is not cut"
    assert bounded("x" * 100, 10) == "x" * 10 + "… (90 more characters)"
    assert moment(None) == "–"
    with timezone.override("Europe/Prague"):
        assert moment(datetime(2026, 7, 1, 22, 30, tzinfo=UTC)) == "2026-07-02 00:30 CEST"
    assert moment(datetime(2026, 7, 1, 22, 30)) == "2026-07-01 22:30"


# Marks


def sides(before: str, after: str, most: int | None = None) -> tuple[str, str]:
    """What is left of the marked text if one takes out what came, or what went."""
    paint = Paint(removed=lambda text: f"\x01{text}\x02", added=lambda text: f"\x03{text}\x04")
    shown = re.sub(r"  \([^()]*differs?\)$", "", marked(before, after, paint, most))
    old = re.sub("\x03.*?\x04", "", shown, flags=re.DOTALL)
    new = re.sub("\x01.*?\x02", "", shown, flags=re.DOTALL)
    return tuple(
        re.sub("[\x01-\x04]|(?<=\x01)\\[-|-\\](?=\x02)|(?<=\x03)\\{\\+|\\+\\}(?=\x04)", "", side) for side in (old, new)
    )  # type: ignore[return-value]


words = st.lists(st.sampled_from(["a", "fox", "jumps", "over", "12", "大阪", "it"]), min_size=2, max_size=30).map(
    " ".join
)


@no_database
@given(words, words)
def test_both_texts_can_be_read_from_the_marked_one(before: str, after: str) -> None:
    if before != after and any(map(str.isalpha, before)):
        assert sides(before, after) == (before, after)


@no_database
def test_a_cut_text_keeps_every_difference() -> None:
    text = " ".join(f"word{number}" for number in range(1000))
    after = text.replace("word10 ", "A ").replace("word500 ", "").replace("word990", "word990 B")
    shown = marked(text, after, Paint(), 400)
    assert all(mark in shown for mark in ("[-word10-]", "{+A+}", "[- word500-]", "{+ B+}")) and len(shown) < 1000


# Tables


@no_database
def test_a_table_aligns_wide_characters_and_numbers() -> None:
    lines = list(table(["name", "rows"], [["大阪", "1"], ["plain", "1,200"]], numbers=[1]))
    assert lines == ["name    rows", "大阪       1", "plain  1,200"]


@no_database
@given(st.lists(st.lists(st.text("ab 大京-_.", max_size=120), min_size=4, max_size=4), max_size=5))
def test_a_table_fits_80_columns_and_loses_nothing(rows: list[list[str]]) -> None:
    lines = list(table(["one", "two", "three", "four"], rows))
    assert all(sum(2 if character in "大京" else 1 for character in text) < 80 for text in lines)
    together = "".join(lines[1:]).replace(" ", "")
    assert sorted(together) == sorted("".join("".join(row) for row in rows).replace(" ", ""))


@no_database
def test_a_sentence_is_wrapped_and_a_long_word_is_not_broken() -> None:
    assert all(len(text) < 80 for text in wrapped("word " * 60, "    "))
    assert wrapped("x" * 100, "  ") == ["  " + "x" * 100]
    assert wrapped("", "  ") == ["  "]


# Progress


def test_a_terminal_sees_the_progress_and_standard_output_does_not(
    run: Run, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments.add(Tag, name="new", only="source")
    monkeypatch.setattr(progress, "SECONDS", 0.01)
    monkeypatch.setattr(sys, "stderr", Terminal())
    ran = run("pull", "Staging", "--json")
    assert isinstance(sys.stderr, Terminal)
    written = sys.stderr.getvalue()
    assert ran.document["state"] == "done"
    assert "of Staging" in written and written.endswith("\r\x1b[K"), "the line is gone afterwards"


def test_without_a_terminal_there_is_no_progress(
    run: Run, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    run("pull", "Staging")
    assert isinstance(sys.stderr, io.StringIO) and sys.stderr.getvalue() == ""


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_progress_names_no_source_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal: Any = Terminal()
    with progress.shown(making.pull(source_name="a\x1b]0;owned\x07b", state="reading"), terminal):
        pass
    assert "\x1b]" not in terminal.getvalue()

"""What cannot be seen in a text is shown, and only that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_sync.core.visible import Piece, PieceKind, is_invisible, make_visible


def shown(text: str, **options: bool) -> str:
    return "".join(
        piece.label if piece.kind is PieceKind.TEXT else f"<{piece.label}>" for piece in make_visible(text, **options)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain, Größe 漢字\nтекст", "plain, Größe 漢字\nтекст", id="ordinary text"),
        pytest.param("a\u202etxt.exe\u202c", "a<U+202E>txt.exe<U+202C>", id="bidi override"),
        pytest.param("a\u2066b\u2069\u200f", "a<U+2066>b<U+2069><U+200F>", id="bidi isolate and mark"),
        pytest.param("pay\u200bpal\u200b\u200b", "pay<U+200B>pal<U+200B×2>", id="zero-width space"),
        pytest.param("so\u00adft\ufeff", "so<U+00AD>ft<U+FEFF>", id="soft hyphen, byte order mark"),
        pytest.param("10\u00a0€\u3000\u2009", "10<U+00A0>€<U+3000><U+2009>", id="spaces that are none"),
        pytest.param("a\tb\r\nc\r", "a<U+0009>b<U+000D>\nc<U+000D>", id="tab and CR"),
        pytest.param("a \n b  ", "a<·>\n b<··>", id="spaces at line ends"),
        pytest.param("a  \r\n", "a<··><U+000D>\n", id="spaces before CR LF"),
        pytest.param("\x00\x1b[0m\x7f", "<U+0000><U+001B>[0m<U+007F>", id="control characters"),
        pytest.param("a\u2028b\ue000\ud800", "a<U+2028>b<U+E000><U+D800>", id="separator, private use, surrogate"),
        pytest.param("a\u3164\u2800\u115f", "a<U+3164><U+2800><U+115F>", id="letters without a shape"),
        pytest.param("x\ufe0fy\U000e0041", "x<U+FE0F>y<U+E0041>", id="selectors and tags out of place"),
        pytest.param("a\u200db", "a<U+200D>b", id="a joiner between Latin letters"),
        pytest.param("می\u200cخواهم", "می\u200cخواهم", id="Persian needs its joiners"),
        pytest.param("क\u094d\u200dष", "क\u094d\u200dष", id="Hindi needs its joiners"),
        pytest.param("👩\u200d👩\u200d👧 ☺\ufe0f 1\ufe0f⃣", "👩\u200d👩\u200d👧 ☺\ufe0f 1\ufe0f⃣", id="emoji"),
        pytest.param("\u0601\u0661\u0662", "\u0601\u0661\u0662", id="a format character with a shape"),
        pytest.param("", "", id="empty"),
    ],
)
def test_shown(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_a_part_of_a_text_need_not_end_a_line() -> None:
    assert shown("a ", ends_line=False) == "a "
    assert shown("a \nb ", ends_line=False) == "a<·>\nb "


def test_all_spaces_can_be_shown_where_nothing_but_they_differ() -> None:
    assert shown(" a  b", all_spaces=True) == "<·>a<··>b"


def test_all_hidden_characters_can_be_shown_where_nothing_but_they_differ() -> None:
    assert shown("می\u200cخواهم ☺\ufe0f", all_hidden=True) == "می<U+200C>خواهم ☺<U+FE0F>"


def test_code_points_have_their_unicode_name_as_title() -> None:
    titles = [piece.title for piece in make_visible("a\u202e\t\ue000  ")]
    assert titles == ["", "RIGHT-TO-LEFT OVERRIDE", "TAB", "", ""]


def test_an_empty_text_has_no_pieces() -> None:
    assert make_visible("") == []


TEXTS = st.text(max_size=60) | st.text(" a\n\r\t\u200b\u200d\u202e\u00a0👩ی", max_size=40)


@given(TEXTS, st.booleans(), st.booleans(), st.booleans())
def test_joined_pieces_are_the_text_again(text: str, ends_line: bool, all_spaces: bool, all_hidden: bool) -> None:
    pieces = make_visible(text, ends_line=ends_line, all_spaces=all_spaces, all_hidden=all_hidden)
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)


@given(TEXTS)
def test_nothing_invisible_is_left_when_all_is_asked_for(text: str) -> None:
    left = [piece.text for piece in make_visible(text, all_hidden=True) if piece.kind is PieceKind.TEXT]
    assert not [character for character in "".join(left) if is_invisible(character)]
    assert "".join(left).replace("\n", "").isprintable() or any("\u0600" <= c <= "\u08e2" for c in text)


@given(st.text(st.characters(whitelist_categories=["Lu", "Ll", "Nd", "Po"], max_codepoint=0x24F)))
def test_visible_text_is_one_piece(text: str) -> None:
    assert make_visible(text) == ([Piece(kind=PieceKind.TEXT, text=text)] if text else [])


@pytest.mark.parametrize(
    "text",
    ["a\u200b" * 50_000, " " * 100_000 + "x", "".join(map(chr, range(0x10000, 0x28000))), "\u202e" * 100_000],
    ids=["every second character", "spaces", "each character once", "a run"],
)
@pytest.mark.timeout(20)  # 150 ms at most when measured
def test_hostile_texts_take_no_quadratic_time(text: str) -> None:
    assert make_visible(text)

"""How much of a long text shows at once, and what a page without room for it says."""

from __future__ import annotations

import pytest

from data_sync.admin import cells
from data_sync.admin.cell_markup import cell as html
from data_sync.admin.folding import CLAMP_LINES, Stretch, fitted
from data_sync.admin.room import Room, Share
from data_sync.core.text import Mark


def texts(stretches) -> str:
    return "".join(stretch.text for stretch in stretches)


def room(characters: int = 1_000, links: int = 10) -> Room:
    return Room(characters=Share(characters, characters, 0), places=Share(9, 9, 1), links=Share(links, links, 0))


def test_a_long_text_that_stands_alone_shows_twenty_lines():
    text = "".join(f"line {number}\n" for number in range(60))

    cell = cells.plain_cell(text)

    assert len(texts(cell.stretches).splitlines()) == CLAMP_LINES
    assert texts(cell.stretches) + texts(cell.rest.stretches) == text
    assert "<summary>40 more lines</summary>" in html(cell)


def test_a_long_line_shows_two_thousand_characters():
    cell = cells.plain_cell("x" * 100_000)

    assert len(texts(cell.stretches)) < 2_100
    assert "more characters</summary>" in html(cell)


def test_a_text_that_is_new_all_over_shows_twenty_lines_of_both_sides():
    before, after = ("".join(f"{side} {number}\n" for number in range(200)) for side in ("old", "other"))

    for cell in cells.text_cells(before, after, cells.Patience())[:2]:
        assert len(texts(cell.stretches).splitlines()) == CLAMP_LINES
        assert cell.rest.size == ("lines", 180)


def test_a_text_with_many_differences_says_how_many_are_behind_the_fold():
    lines = [f"line {number}\n" for number in range(400)]
    edited = [f"edited {number}\n" if number % 20 == 10 else line for number, line in enumerate(lines)]

    left, right, _ = cells.text_cells("".join(lines), "".join(edited), cells.Patience())

    for cell, mark in ((left, Mark.REMOVED), (right, Mark.ADDED)):
        shown = sum(stretch.mark is mark for stretch in cell.stretches)
        assert shown > 0
        assert shown + cell.rest.differences == 20
        assert f"with {20 - shown} more differences</summary>" in html(cell)


def test_the_first_difference_shows_however_long_the_lines_before_it_are():
    paragraphs = [f"paragraph {number} " + "word " * 200 + "\n" for number in range(10)]
    edited = [*paragraphs[:5], paragraphs[5].replace("paragraph 5", "section 5"), *paragraphs[6:]]

    left, right, _ = cells.text_cells("".join(paragraphs), "".join(edited), cells.Patience())

    assert [stretch.text for stretch in left.stretches if stretch.mark is Mark.REMOVED] == ["paragraph"]
    assert [stretch.text for stretch in right.stretches if stretch.mark is Mark.ADDED] == ["section"]


# What a page has no room for


def test_what_is_the_same_goes_first():
    stretches = [Stretch(text="old", mark=Mark.REMOVED), Stretch(text="same " * 100, folded=("characters", 500))]

    kept = fitted(stretches, 10)

    assert [(stretch.text, stretch.folded) for stretch in kept] == [("old", None), ("", ("characters", 500))]


@pytest.mark.parametrize("characters", [0, 1, 4, 5, 499, 500, 501])
def test_no_more_characters_are_kept_than_there_is_room_for_and_the_others_are_counted(characters):
    kept = fitted([Stretch(text="one x"), Stretch(text="y" * 495, mark=Mark.ADDED)], characters)

    gone = [stretch.left_out for stretch in kept if stretch.left_out]
    assert texts(kept) == ("one x" + "y" * 495)[:characters]
    assert gone == ([("characters", 500 - characters)] if characters < 500 else [])


def test_what_was_folded_counts_among_what_is_missing():
    fold = Stretch(text="same\n" * 300, folded=("lines", 300))

    kept = fitted([Stretch(text="old\n" * 5, mark=Mark.REMOVED), fold, Stretch(text="new\n" * 100, mark=Mark.ADDED)], 8)

    assert [(stretch.text, stretch.left_out) for stretch in kept] == [("old\nold\n", None), ("", ("lines", 403))]


def test_a_cell_that_is_cut_says_so_and_how_much_is_missing():
    cell = room(characters=3_000).cell(cells.plain_cell("界" * 100_000))

    assert cell.is_cut
    assert html(cell).count("界") == 3_000
    assert "97000 more characters, not on this page" in html(cell)


def test_a_page_gives_room_to_those_that_come_first_and_a_little_to_all():
    share = Share(100, 80, 5)

    assert [share.take(90), share.take(90), share.take(90), share.take(3)] == [80, 20, 5, 3]


def test_links_without_room_are_counted():
    keys = [[f"k{number}"] for number in range(30)]
    cell = cells.links_cell(keys, keys[:7], Mark.ADDED, lambda key: None, words=True)

    cut = room(links=12).cell(cell)

    assert (len(cut.items), len(cut.kept), cut.left_out) == (12, 0, (18, 7))
    assert "18 more, not on this page" in html(cut)
    assert "7 on both sides" in html(cut)


def test_what_fits_is_left_as_it_is():
    cell = cells.plain_cell("short")

    assert room().cell(cell) == cell
    assert not cell.is_cut

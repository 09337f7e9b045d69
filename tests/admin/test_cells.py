"""What one side of a row says."""

from __future__ import annotations

import pytest

from data_sync.admin import cells
from data_sync.admin.cell_markup import cell as html
from data_sync.admin.signs import visible
from data_sync.core.text import Mark


def text_of(cell: cells.Cell) -> str:
    return "".join(stretch.text for stretch in (*cell.stretches, *(cell.rest.stretches if cell.rest else ())))


def test_absent_null_empty_none_and_no_file_are_five_different_things():
    shown = {
        html(cells.ABSENT),
        html(cells.plain_cell(None)),
        html(cells.plain_cell("")),
        html(cells.links_cell([], [], Mark.EQUAL, lambda key: None, words=False)),
        html(cells.file_cell(None, cells.FilePlace(), Mark.EQUAL)),
    }

    assert len(shown) == 5


@pytest.mark.parametrize(
    ("value", "shown"),
    [(5, "5"), (True, "true"), (1.5, "1.5"), ([1, "ä"], '[\n  1,\n  "ä"\n]'), ({}, "{}"), ([], "[]")],
)
def test_values_that_are_no_text_stand_as_json(value, shown):
    cell = cells.plain_cell(value)

    assert (text_of(cell), cell.is_code) == (shown, True)


def test_a_text_in_json_keeps_its_quotes_so_that_it_differs_from_a_number():
    assert text_of(cells.plain_cell("5", is_json=True)) == '"5"'
    assert text_of(cells.plain_cell("5")) == "5"


def test_one_word_of_a_thousand_is_marked_and_the_rest_folded():
    words = [f"word{number}" for number in range(1000)]
    after = [*words[:500], "other", *words[501:]]

    left, right, _ = cells.text_cells(" ".join(words), " ".join(after), cells.Patience())

    assert [stretch.text for stretch in left.stretches if stretch.mark is Mark.REMOVED] == ["word500"]
    assert [stretch.text for stretch in right.stretches if stretch.mark is Mark.ADDED] == ["other"]
    assert text_of(left) == " ".join(words)
    assert sum(len(stretch.text) for stretch in right.stretches if stretch.folded is None) < 900


def test_a_fold_of_lines_names_their_number():
    lines = [f"line {number}\n" for number in range(50)]
    after = [*lines[:25], "changed\n", *lines[26:]]

    left, right, _ = cells.text_cells("".join(lines), "".join(after), cells.Patience())

    folds = [stretch for stretch in left.stretches if stretch.folded]
    assert [stretch.folded for stretch in folds] == [("lines", len(stretch.text.splitlines())) for stretch in folds]
    assert [stretch.folded for stretch in folds] == [stretch.folded for stretch in right.stretches if stretch.folded]
    assert "unchanged lines</summary>" in html(left)


def test_out_of_patience_texts_are_still_compared_and_say_so():
    patience = cells.Patience(seconds=0)

    left, right, diff = cells.text_cells("one two three", "one 2 three", patience)

    assert diff.note == "too_costly"
    assert (text_of(left), text_of(right)) == ("one two three", "one 2 three")


def test_a_text_with_more_marks_than_a_reader_can_use_is_marked_as_a_whole():
    before = " ".join(f"a{number} same" for number in range(1000))
    after = " ".join(f"b{number} same" for number in range(1000))

    left, _, _ = cells.text_cells(before, after, cells.Patience())

    assert len(left.stretches) < 10


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ([], ""),
        (["tags", 2], "tags[2]"),
        (["zones", 1, "rates", 0, "price"], "zones[1].rates[0].price"),
        (["a.b", "c d"], '["a.b"]["c d"]'),
        ([0, "x"], "[0].x"),
    ],
)
def test_paths_read_like_code_and_cannot_be_mistaken(path, shown):
    assert cells.path_text(path) == shown


# HTML


def test_nothing_in_a_value_becomes_markup():
    cell = cells.plain_cell("<script>alert(1)</script> & <b>")

    assert "<script>" not in html(cell) and "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;" in html(cell)


def test_what_differs_stands_in_del_and_ins():
    left, right, _ = cells.text_cells("Boots 2025", "Boots 2026", cells.Patience())

    assert "<del>2025</del>" in html(left)
    assert "<ins>2026</ins>" in html(right)


def test_a_bidi_control_shows_as_its_code_point_with_its_name():
    assert '<span class="ds-code-point" title="RIGHT-TO-LEFT OVERRIDE">U+202E</span>' in html(
        cells.plain_cell("abc\u202ecba")
    )


def test_a_space_at_the_end_shows():
    left, right, diff = cells.text_cells("Bonjour", "Bonjour ", cells.Patience())

    assert diff.whitespace_only
    assert '<ins><span class="ds-spaces">·</span></ins>' in html(right)
    assert "·" not in html(left)


def test_a_line_end_that_was_added_shows():
    _, right, _ = cells.text_cells("one two", "one\ntwo", cells.Patience())

    assert "↵" in html(right)


def test_characters_that_look_the_same_show_what_they_are():
    left, right, diff = cells.text_cells("caf\u00e9", "cafe\u0301", cells.Patience())

    assert diff.unicode_only
    assert "U+00E9" in html(left)
    assert "U+0301" in html(right)


def test_invisible_characters_without_end_do_not_flood_the_page_nor_turn_its_text_round():
    flood = "\u200b\u200e" * 5000 + "\u202eabc"

    shown = html(cells.plain_cell(flood))

    assert shown.count("<span") < 1500
    assert "Further invisible characters are not marked." in shown
    assert "\u202e" not in shown and "\u200e" not in shown


def test_links_show_what_is_on_one_side_and_fold_what_both_have():
    cell = cells.links_cell([["b"]], [["a"], ["c"]], Mark.ADDED, lambda key: 7, words=True)

    shown = html(cell)
    assert "<ins><bdi>b</bdi></ins>" in shown
    assert "2 on both sides</summary>" in shown
    assert '<a class="ds-aside" href="?number=7">created by #7</a>' in shown


def test_a_file_shows_size_and_checksum_and_a_picture_its_dimensions():
    described = {"name": "a/b.png", "size": 2048, "checksum": "sha256:" + "ab" * 32}
    place = cells.FilePlace(url="/files/1", thumbnail="/thumbnails/1", width=640, height=480)

    picture = html(cells.file_cell(described, place, Mark.ADDED))
    other = html(cells.file_cell(described, cells.FilePlace(url="/files/1"), Mark.ADDED))

    assert '<img class="ds-thumbnail" src="/thumbnails/1"' in picture and "2.0\xa0KB · 640 × 480 pixels" in picture
    assert 'title="sha256:abab' in picture and "<img" not in other and "pixels" not in other


@pytest.mark.parametrize(
    ("trouble", "words"), [("too_large", "too large for a thumbnail"), ("broken", "not a picture that can be read")]
)
def test_a_picture_without_a_thumbnail_says_why(trouble, words):
    described = {"name": "a/b.png", "size": 2048, "checksum": "sha256:" + "ab" * 32}

    shown = html(cells.file_cell(described, cells.FilePlace(url="/files/1", trouble=trouble), Mark.ADDED))

    assert words in shown and "<img" not in shown


def test_a_file_that_the_storage_lacks_is_said_to_be_missing():
    described = {"name": "gone.png", "size": 0, "checksum": "missing"}
    cell = cells.file_cell(described, cells.FilePlace(url="/files/1"), Mark.EQUAL)

    assert "no such file" in html(cell) and "/files/1" not in html(cell)


@pytest.mark.parametrize("key", ["a\nb", "a  b", "a\tb", "\u00a0a", "a ", "a\u00adb"])
def test_keys_that_a_browser_would_show_alike_have_signs(key):
    shown = str(visible(key))

    assert "<span" in shown or "↵" in shown
    assert str(visible("a b")) == "a b" and str(visible("é · b")) == "é · b"

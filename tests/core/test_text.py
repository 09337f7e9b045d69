"""Word marks: exact, small, quick, and honest where they are coarse."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_sync.core import tokens
from data_sync.core.text import Fold, Mark, Segment, TextDiff, diff_text, fold

SIGNS = {Mark.EQUAL: "{}", Mark.REMOVED: "[-{}-]", Mark.ADDED: "{{+{}+}}"}


def marked(segments: Iterable[Segment]) -> str:
    return "".join(SIGNS[segment.mark].format(segment.text) for segment in segments)


def joined(segments: Iterable[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def share_marked(diff: TextDiff) -> float:
    segments = [*diff.before, *diff.after]
    return len(joined(s for s in segments if s.mark is not Mark.EQUAL)) / len(joined(segments))


CHARACTERS = [*"aé. \t\n\r字テไทย!。", "e\u0301", "\u0301", "\u200d", "\u200b", "\u202e", "\ud800", "\u00a0"]
TEXTS = st.text("ab. \n", max_size=40) | st.lists(st.sampled_from([*CHARACTERS, "👩‍👩‍👧", "🇫🇷"]), max_size=30).map(
    "".join
)
BUDGETS = st.sampled_from([0, 5, 50, 200, 300_000])


@given(TEXTS, TEXTS, BUDGETS)
@settings(max_examples=800, deadline=None)
def test_joined_segments_are_the_texts_again(before: str, after: str, budget: int) -> None:
    diff = diff_text(before, after, budget=budget)
    assert joined(diff.before) == before
    assert joined(diff.after) == after
    assert all(segment.text for segment in (*diff.before, *diff.after))
    assert {segment.mark for segment in diff.before} <= {Mark.EQUAL, Mark.REMOVED}
    assert {segment.mark for segment in diff.after} <= {Mark.EQUAL, Mark.ADDED}


@given(TEXTS, TEXTS, BUDGETS)
@settings(max_examples=400, deadline=None)
def test_equal_segments_are_the_same_on_both_sides(before: str, after: str, budget: int) -> None:
    diff = diff_text(before, after, budget=budget)
    equal_before = [segment for segment in diff.before if segment.mark is Mark.EQUAL]
    assert equal_before == [segment for segment in diff.after if segment.mark is Mark.EQUAL]


@given(TEXTS, TEXTS, BUDGETS)
@settings(max_examples=300, deadline=None)
def test_something_is_marked_exactly_if_the_texts_differ(before: str, after: str, budget: int) -> None:
    diff = diff_text(before, after, budget=budget)
    assert any(s.mark is not Mark.EQUAL for s in (*diff.before, *diff.after)) is (before != after)
    assert (diff.note is None) is (diff.level == "word")
    assert before != after or not (diff.whitespace_only or diff.unicode_only)


@pytest.mark.parametrize(
    ("before", "after", "marks_before", "marks_after"),
    [
        pytest.param("Boots 2025", "Boots 2026", "Boots [-2025-]", "Boots {+2026+}", id="a word"),
        pytest.param("one two three", "one three", "one[- two-] three", "one three", id="a word less"),
        pytest.param("a b", "a big b", "a b", "a{+ big+} b", id="a word more"),
        pytest.param("well, yes", "well yes", "well[-,-] yes", "well yes", id="a comma"),
        pytest.param("1,234.50 €", "1,234.60 €", "[-1,234.50-] €", "{+1,234.60+} €", id="a number is one word"),
        pytest.param("don’t go", "don’t run", "don’t [-go-]", "don’t {+run+}", id="an apostrophe"),
        pytest.param("", "new", "", "{+new+}", id="from nothing"),
        pytest.param("a ", "a", "a[- -]", "a", id="a trailing space"),
        pytest.param("a  b", "a b", "a[- -] b", "a b", id="a double space"),
        pytest.param("  ", "   ", "  ", " {+ +} ", id="nothing but spaces"),
        pytest.param("a\r\nb", "a\nb", "a[-\r\n-]b", "a{+\n+}b", id="CR LF"),
        pytest.param("漢字テスト", "漢字テスツ", "漢字テス[-ト-]", "漢字テス{+ツ+}", id="Japanese"),
        pytest.param("สวัสดีครับ", "สวัสดีค่ะ", "สวัสดี[-ครับ-]", "สวัสดี{+ค่ะ+}", id="Thai keeps its marks"),
        pytest.param("हिन्दी भाषा", "हिन्दी बोली", "हिन्दी [-भाषा-]", "हिन्दी {+बोली+}", id="Hindi"),
        pytest.param("한국어 글", "한국어 말", "한국어 [-글-]", "한국어 {+말+}", id="Korean has words"),
        pytest.param("x👩‍👩‍👧", "x👩‍👩‍👦", "x[-👩‍👩‍👧-]", "x{+👩‍👩‍👦+}", id="a family is one sign"),
        pytest.param("👍🏽🇫🇷", "👍🏿🇫🇷", "[-👍🏽-]🇫🇷", "{+👍🏿+}🇫🇷", id="skin tones and flags"),
    ],
)
def test_marks(before: str, after: str, marks_before: str, marks_after: str) -> None:
    diff = diff_text(before, after)
    assert (marked(diff.before), marked(diff.after)) == (marks_before, marks_after)
    assert diff.level == "word"


@pytest.mark.parametrize(
    ("before", "after", "whitespace_only", "unicode_only"),
    [
        ("a b", "a  b", True, False),
        ("a b", "ab", True, False),
        ("a\r\nb", "a\nb ", True, False),
        ("10 €", "10\u00a0€", True, False),
        ("caf\u00e9", "cafe\u0301", False, True),
        ("Ωhm", "\u2126hm", False, True),
        ("paypal", "pay\u200bpal", False, True),
        ("safe", "\u202esafe\u202c", False, True),
        ("soft", "so\u00adft", False, True),
        ("☺", "☺\ufe0f", False, True),
        ("x" * 300 + " caf\u00e9", "x" * 300 + " cafe\u0301", False, True),
        ("x" * 98 + "a\u0316\u0301", "x" * 98 + "a\u0301\u0316", False, True),
        ("a b", "a c", False, False),
        ("é b", "é  c", False, False),
        ("x" * 150 + "ﬁ", "x" * 150 + "fi", False, False),
        ("\u0661", "\u0601\u0661", False, False),
        ("same", "same", False, False),
    ],
)
def test_differences_that_can_hardly_be_seen_are_flagged(
    before: str, after: str, whitespace_only: bool, unicode_only: bool
) -> None:
    for diff in (diff_text(before, after), diff_text(after, before)):
        assert (diff.whitespace_only, diff.unicode_only) == (whitespace_only, unicode_only)


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=150))
@settings(deadline=None)
def test_a_text_and_its_decomposed_form_differ_in_unicode_only(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert diff_text(text, decomposed).unicode_only is (text != decomposed)


def prose(words: int, seed: int = 1) -> list[str]:
    """Words that are as unevenly frequent as in a natural language."""
    vocabulary = [f"word{number}" for number in range(5000)]
    return random.Random(seed).choices(vocabulary, [1 / (rank + 2) for rank in range(5000)], k=words)


def edited(words: list[str], one_in: int) -> list[str]:
    return [f"new{number}" if number % one_in == 7 else word for number, word in enumerate(words)]


def paragraphs(words: list[str]) -> str:
    return "".join(f"{word}.\n" if number % 50 == 49 else f"{word} " for number, word in enumerate(words))


def test_one_word_edited_in_a_thousand_marks_that_word() -> None:
    words = prose(1000)
    diff = diff_text(" ".join(words), " ".join([*words[:500], "edited", *words[501:]]))
    assert [segment.text for segment in diff.after if segment.mark is Mark.ADDED] == ["edited"]


def test_a_text_with_one_word_in_twenty_edited_is_marked_there_only_and_quickly() -> None:
    words = prose(1000)
    before, after = " ".join(words), " ".join(edited(words, 20))
    diff_text("é", "è")  # compiles the pattern
    diff = diff_text(before, after)
    assert diff.level == "word"
    assert share_marked(diff) < 0.08


def test_over_the_budget_only_differing_lines_are_looked_at_and_still_by_words() -> None:
    words = prose(5000)
    after = edited(words, 400)
    before = paragraphs(words)
    assert diff_text(before, paragraphs(after), budget=100_000).level == "word"
    assert share_marked(diff_text(before, paragraphs(after), budget=100_000)) < 0.01


def test_over_the_budget_sentences_serve_where_there_are_no_lines() -> None:
    before = " ".join(f"{word}." if number % 20 == 19 else word for number, word in enumerate(prose(5000)))
    after = before.replace("word7 ", "edited ", 3).replace("word8", "edited", 1)
    diff = diff_text(before, after, budget=30_000)
    assert diff.level == "word"
    assert share_marked(diff) < 0.01


def test_where_words_are_too_costly_lines_are_marked_and_it_says_so() -> None:
    busy = " ".join("abcdefgh" * 40)
    diff = diff_text(f"{busy}\nsame\nlines\n{busy[::-1]}\n", f"{busy[::-1]}\nsame\nlines\n{busy}\n", budget=9000)
    assert (diff.level, diff.note) == ("line", "too_costly")
    assert Segment(mark=Mark.EQUAL, text="same\nlines\n") in diff.before


def test_a_single_line_that_is_too_costly_is_marked_as_a_whole() -> None:
    busy = " ".join("abcdefgh" * 40)
    diff = diff_text(busy, busy[::-1], budget=9000)
    assert (diff.level, diff.note) == ("whole", "too_costly")
    assert share_marked(diff) > 0.99


def test_where_lines_are_too_costly_too_all_between_is_marked_and_it_says_so() -> None:
    diff = diff_text("start a b end", "start b a end", budget=0)
    assert (marked(diff.before), marked(diff.after)) == ("start [-a b-] end", "start {+b a+} end")
    assert (diff.level, diff.note) == ("whole", "too_costly")


SIZE = 100_000
ASTRAL = range(0x10000, 0x28000)
HOSTILE = {
    "one sign": ("!" * SIZE, "?" * SIZE),
    "few signs": ("!?" * (SIZE // 2), "?!." * (SIZE // 3)),
    "one character": ("字" * SIZE, "漢" * SIZE),
    "few words": ("a b " * (SIZE // 4), "a c " * (SIZE // 4)),
    "few lines": ("a\n" * (SIZE // 2), "b\na\n" * (SIZE // 4)),
    "no spaces": ("A" * SIZE, "B" * SIZE),
    "marks out of order": ("a" + "\u0301\u0316" * (SIZE // 2), "a" + "\u0316\u0301" * (SIZE // 2)),
    "invisible characters": ("a\u200b" * (SIZE // 2), "a" * (SIZE // 2)),
    "spaces": (" " * SIZE + "x", "\t" * SIZE + "x"),
    "words turned round": (" ".join(map(str, range(17_000))), " ".join(map(str, range(17_000, 0, -1)))),
    "one shared word": (
        " ".join(word for i in range(700) for word in ("x", f"y{i}")),
        " ".join(word for i in range(700) for word in (f"z{i}", "x")),
    ),
    "each character once": ("".join(map(chr, ASTRAL)), "".join(map(chr, reversed(ASTRAL)))),
}


@pytest.mark.timeout(20)  # 35 ms at most when measured
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_take_no_quadratic_time(name: str) -> None:
    diff = diff_text(*HOSTILE[name])
    assert joined(diff.before) == HOSTILE[name][0]


@given(TEXTS)
@settings(max_examples=500)
def test_joined_tokens_are_the_text_again(text: str) -> None:
    assert "".join(tokens.words(text)) == text
    assert "".join(tokens.sentences(text)) == text
    assert "".join(tokens.lines(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world’s  end", ["Hello", ",", " world’s", " ", " end"]),
        ("cafe\u0301s 字\u3099", ["cafe\u0301s", " 字\u3099"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("1,234.5 1,2 a.b", ["1,234.5", " 1", ",", "2", " a", ".", "b"]),
        ("a\t\r\n b_c\r", ["a", "\t", "\r\n", " b_c", "\r"]),
        ("🇫🇷🇩🇪1️⃣", ["🇫🇷", "🇩🇪", "1️⃣"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert tokens.words(text) == words


def test_sentences_end_with_a_line_or_before_a_space() -> None:
    assert tokens.sentences("See 3.5 now. Then? 今日。明日\nx...\n") == [
        "See 3.5 now.",
        " Then?",
        " 今日。",
        "明日\n",
        "x...\n",
    ]


def numbered(first: int, last: int) -> str:
    return "".join(f"line {number}\n" for number in range(first, last + 1))


def test_runs_of_unchanged_lines_are_folded_and_counted() -> None:
    diff = diff_text(numbered(1, 30) + "old\n" + numbered(31, 60), numbered(1, 30) + "new\n" + numbered(31, 60))
    assert fold(diff.before, context=3) == [
        Segment(mark=Mark.EQUAL, text=numbered(1, 4)),
        Fold(text=numbered(5, 27), lines=23),
        Segment(mark=Mark.EQUAL, text=numbered(28, 30)),
        Segment(mark=Mark.REMOVED, text="old"),
        Segment(mark=Mark.EQUAL, text="\n" + numbered(31, 33)),
        Fold(text=numbered(34, 57), lines=24),
        Segment(mark=Mark.EQUAL, text=numbered(58, 60)),
    ]


def test_a_single_line_is_not_folded() -> None:
    segment = Segment(mark=Mark.EQUAL, text=numbered(1, 8))
    assert fold([segment], context=3) == [segment]
    assert fold([segment], context=2) != [segment]


@given(TEXTS, TEXTS, st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_both_sides_fold_at_the_same_places_and_lose_nothing(before: str, after: str, context: int) -> None:
    same = "line\n" * 9
    diff = diff_text(before + same + after + same, after + same + before + same)
    sides = [fold(diff.before, context), fold(diff.after, context)]
    assert ["".join(part.text for part in side) for side in sides] == [
        joined(diff.before),
        joined(diff.after),
    ]
    folds = [[part for part in side if isinstance(part, Fold)] for side in sides]
    assert folds[0] == folds[1]
    assert all(part.lines == part.text.count("\n") >= 2 for part in folds[0])

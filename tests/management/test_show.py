"""`show`: a reviewer reads all that matters, and nothing that a source sent commands the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import call_command

from data_sync.models import Changeset
from tests.admin import making

from .conftest import Run, Terminal

pytestmark = pytest.mark.django_db(databases="__all__")
FILE = {"name": "copy/a.png", "size": 1234, "checksum": "sha256:" + "a" * 64}
OTHER_FILE = {"name": "copy/b.png", "size": 1, "checksum": "sha256:" + "b" * 64}
EVIL = "a\x1b]0;owned\x07\x9b2J\r‮b\u200b"


def shown(run: Run, *changes: Any, whole: bool = False, **values: Any) -> str:
    changeset = making.changeset(changes, **values)
    ran = run("show", changeset.pk, *(["--change", *range(1, len(changes) + 1)] if whole else []))
    assert ran.code == 0
    return ran.out


def updated(before: Any, after: Any) -> Any:
    return making.change(1, before={"value": before}, after={"value": after})


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("a quick fox", "a slow fox", "~ value: a [-quick-]{+slow+} fox"),
        ("a fox", "a  fox ", "~ value: a{+ +} fox{+·+}  (only white space differs)"),
        ("12.90", "13.40", "~ value: 12.90 → 13.40"),
        ("2026-01-31", "2026-02-28", "~ value: 2026-01-31 → 2026-02-28"),
        (None, "", '~ value: null → ""'),
        ("null", None, '~ value: "null" → null'),
        ("", "now there", '~ value: "" → now there'),
        (1, "1", '~ value: 1 → "1"'),
        (False, True, "~ value: false → true"),
        (["FR"], ["DE"], "~ value[0]: FR → DE"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "~ value.a.b[1]: 2 → 3"),
        ({"a b": 1}, {"a b": 1, "c": None}, "+ value.c: null"),
        ({"a b": 1}, {}, '- value["a b"]: 1'),
        ({"1": 1}, {"1": 2}, '~ value["1"]: 1 → 2'),
        ("caf\u00e9", "cafe\u0301", "(may look the same: only Unicode forms or invisible characters differ)"),
        ("a\u200bb", "ab", "[-a⟨U+200B⟩b-]{+ab+}"),
    ],
)
def test_a_difference_is_one_readable_line(run: Run, before: Any, after: Any, line: str) -> None:
    assert line in shown(run, updated(before, after))


def test_lines_of_a_text_stand_below_each_other(run: Run) -> None:
    out = shown(run, updated("one\ntwo\nthree", "one\n2\nthree\nfour"))
    assert "    ~ value:\n      | one\n      | [-two-]{+2+}\n      | three" in out
    assert "{+⏎" in out, "the end of a line that came is marked"


def test_long_values_are_cut_and_whole_where_the_change_is_named(run: Run) -> None:
    words = [f"word{number}" for number in range(400)]
    before, after = " ".join(words), " ".join([*words[:200], "here", *words[201:]])
    change = updated(before, after)
    out = shown(run, change)
    assert "[-word200-]{+here+}" in out and "unchanged characters⟩" in out and len(out) < 1500
    whole = run("show", latest(), "--change", 1).out
    assert "word0 word1" in whole and "word399" in whole and "unchanged" not in whole


def latest() -> int:
    return Changeset.objects.latest("pk").pk


def test_folded_lines_are_counted(run: Run) -> None:
    before = "\n".join(f"line {number} of the text" for number in range(100))
    out = shown(run, updated(before, before.replace("line 50 of", "row 50 of")))
    assert "[-line-]{+row+} 50" in out and "unchanged lines⟩" in out
    assert len(out.splitlines()) < 40


def test_a_create_shows_what_comes_and_a_delete_what_goes_with_it(run: Run) -> None:
    cascades = [
        {"model": "shop.note", "pk": "7", "label": "mira, 2026", "effect": "delete", "column": "copy"},
        {"model": "shop.visit", "pk": "8", "label": "", "effect": "null", "column": "copy"},
    ]
    out = shown(run, making.create(1, requires=[2]), making.delete(2, cascades=cascades))
    assert out.index("#2 delete") < out.index("#1 create"), "what can do harm comes first"
    assert "+ meaning: new" in out and "- meaning: old" in out
    assert "requires #2" in out
    assert "takes along 2 rows:" in out
    assert "· shop.note 7 “mira, 2026” is deleted with it" in out
    assert "· shop.visit 8 loses its reference to it" in out


def test_long_lists_are_cut_and_counted(run: Run) -> None:
    cascades = [
        {"model": "shop.note", "pk": str(pk), "label": "", "effect": "delete", "column": "copy"} for pk in range(50)
    ]
    changes = [making.delete(1, cascades=cascades, requires=list(range(100, 140)))]
    out = shown(run, *changes)
    assert "takes along 50 rows:" in out and "· and 40 more" in out
    assert "#109 and 30 more" in " ".join(out.split())
    assert "shop.note 49" in run("show", latest(), "--change", 1).out


def test_files_are_shown_with_size_and_checksum(run: Run) -> None:
    files = {
        "thumbnail": {"before": FILE, "after": OTHER_FILE},
        "same": {"before": FILE, "after": {**FILE, "name": "renamed.png"}},
        "gone": {"before": FILE, "after": None},
        "lost": {"before": None, "after": {"name": "x.png", "size": 0, "checksum": "missing"}},
    }
    out = shown(run, making.update(1, files=files))
    assert "~ thumbnail:\n      - copy/a.png, 1,234 bytes\n        sha256:aaaa" in out
    assert "      + copy/b.png, 1 byte\n        sha256:bbbb" in out
    assert "renamed.png" not in out, "a storage's other name makes no difference"
    assert "- gone:" in out and "+ lost:\n      + x.png, which is missing in its storage" in out
    assert max(map(len, out.splitlines())) < 80


def test_problems_decisions_and_outcomes_are_shown(run: Run) -> None:
    problems = [{"code": "x", "field": "meaning", "message": "meaning is too long."}]
    changes = [
        making.update(1, problems=problems),
        making.update(2, decision="accepted", outcome="stale", outcome_reason="It was edited."),
    ]
    out = shown(run, *changes)
    assert "problem: meaning is too long." in out
    assert "[accepted]" in out and "outcome: stale: It was edited." in out
    assert "1 accepted, 0 rejected, 1 undecided" in out


@pytest.mark.parametrize("whole", [False, True])
def test_nothing_from_a_source_commands_the_terminal(run: Run, whole: bool) -> None:
    evil_file = {"name": EVIL, "size": 1, "checksum": EVIL}
    cascade = {"model": "shop.note", "pk": EVIL, "label": EVIL, "effect": "delete", "column": "copy"}
    hidden = {
        "key": [EVIL],
        "files": {EVIL: {"before": None, "after": evil_file}},
        "cascades": [cascade],
        "problems": [{"code": EVIL, "field": EVIL, "message": EVIL}],
        "outcome": "stale",
        "outcome_reason": EVIL,
    }
    change = making.change(1, before={"v": EVIL, "j": {EVIL: EVIL}}, after={"v": EVIL * 2, "j": {}}, **hidden)
    change.before_digest = "x"
    out = shown(run, change, whole=whole, state_reason=EVIL, source_name="a\x1bb", actor="c\x9bd")
    out += run("list").out
    assert not any(character in out for character in "\x1b\x07\x9b\r\u202e\u200b")
    assert "⟨U+001B⟩" in out and "⟨U+202E⟩" in out


@pytest.mark.parametrize("state", ["pending", "blocked", "approved", "applying", "applied", "stale", "superseded"])
def test_every_state_is_said_and_where_there_is_one_the_next_step(run: Run, state: str) -> None:
    out = shown(run, making.update(), state=state)
    assert state in out
    step = {"pending": "data_sync accept", "blocked": "data_sync override", "approved": "data_sync apply"}.get(state)
    assert step is None or step in out.splitlines()[-1]


def test_the_head_fits_80_columns(run: Run) -> None:
    out = shown(run, making.update(1, model="averylongapplabel.averylongmodelnamethatgoesonandonandon"))
    assert "averylongapplabel" in out
    assert max(len(line) for line in out.splitlines() if not line.startswith("#")) < 80


def test_only_what_is_asked_for_is_shown(run: Run) -> None:
    making.changeset([making.update(1), making.create(2), making.delete(3), making.update(4, model="testapp.tag")])
    for words, numbers in (
        (["--operation", "create"], [2]),
        (["--model", "testapp.tag"], [4]),
        (["--change", "1", "3"], [3, 1]),
        ([], [3, 1, 4, 2]),
    ):
        document = run("show", latest(), "--json", *words).document
        assert [change["number"] for change in document["changes"]] == numbers
        text = run("show", latest(), *words).out
        assert [int(line[1:].split()[0]) for line in text.splitlines() if line.startswith("#")] == numbers


def test_the_document_has_what_a_reviewer_needs(run: Run) -> None:
    changeset = making.changeset([making.update(1, "old", "new"), making.delete(2)], guards=[])
    document = run("show", changeset.pk, "--json").document
    members = "changeset models guards override omitted redacted decisions unmet changes"
    assert set(document) == set(members.split())
    assert document["changeset"]["counts"] == {"create": 0, "update": 1, "delete": 1, "rename": 0}
    assert document["decisions"] == {"accepted": 0, "rejected": 0, "undecided": 2}
    change = document["changes"][1]
    assert change["diff"] == [{"path": ["meaning"], "kind": "changed", "before": "old", "after": "new"}]
    assert (change["decision"], change["outcome"]) == ("undecided", None)


def test_a_conflict_shows_who_and_three_values(run: Run) -> None:
    out = shown(run, making.conflict(1, "agreed"), making.conflict(2, None, conflict={"kind": "changed", "by": EVIL}))
    assert "conflict: changed here by tomas, 2026-05-12T10:03:00+00:00" in out
    assert "~ meaning: here → there\n    = meaning, last agreed: agreed" in out
    assert "= last agreed: not known" in out and "\x1b" not in out
    assert "2 conflicts undecided" in " ".join(out.split()) and "--acknowledge" in out


def test_a_row_deleted_here_and_a_base_that_is_not_known_are_told(run: Run) -> None:
    gone = {"kind": "removed", "by": "", "at": ""}
    out = shown(run, making.create(1, conflict=gone), making.update(2), making.create(3))
    assert "conflict: deleted here since both sides last agreed, nobody recorded by whom" in " ".join(out.split())
    assert out.count("unknown base") == 1


def test_a_rename_shows_both_keys_and_what_replacing_it_would_take_along(run: Run) -> None:
    cascade = {"model": "shop.note", "pk": "7", "label": "mira", "effect": "delete", "column": "copy"}
    out = shown(run, making.rename(1, "UK", "GB", cascades=[cascade]))
    assert "#1 rename testapp.term  UK → GB" in out
    assert "keeps the row, under the new key" in out and "deleting it would take along 1 row:" in out
    assert "deletes the row and adds a new one" in shown(run, making.rename(1, rename_choice="replace"))


def test_warnings_and_left_scope_are_shown(run: Run) -> None:
    warning = {"code": "validator", "field": "meaning", "message": "meaning: no number."}
    out = shown(run, making.update(1, warnings=[warning]), making.delete(2, left_scope=True))
    assert "warning: meaning: no number." in out
    assert "left scope: the source still has it" in out


def test_the_document_has_what_was_decided_on_conflicts_and_renames(run: Run) -> None:
    changeset = making.changeset([making.conflict(1, acknowledged_digest="x"), making.rename(2)])
    first, second = run("show", changeset.pk, "--json").document["changes"]
    assert (first["conflict"]["by"], first["base"]["meaning"], first["acknowledged_digest"]) == ("tomas", "agreed", "x")
    assert (second["previous_key"], second["rename_choice"], first["rename_choice"]) == (["old-key"], "rename", None)


def test_the_list_fits_80_columns(run: Run) -> None:
    for _ in range(3):
        making.changeset([making.update()], source_name="a source with quite a long name", actor="somebody.with.a.name")
    out = run("list").out
    assert max(map(len, out.splitlines())) < 80
    assert len(run("list", "--json").document["changesets"]) == 3


def test_the_list_says_why_a_changeset_is_where_it_is(run: Run) -> None:
    old = making.changeset([making.update()], state="superseded", state_reason="Superseded by changeset 9.")
    stale = making.changeset([making.update()], state="stale", state_reason="change 1: " + "word " * 100)
    making.changeset([making.update()])
    out = run("list").out
    assert f"  · {old.pk}: Superseded by changeset 9.\n" in out
    assert f"  · {stale.pk}: change 1: word" in out and "more characters)" in out
    assert out.count("  · ") == 2
    assert max(map(len, out.splitlines())) < 80


def test_there_is_colour_only_at_a_terminal(run: Run) -> None:
    changeset = making.changeset([making.update(1, "an old one", "a new one")])
    for terminal, options in ((False, {}), (True, {}), (True, {"no_color": True})):
        out = Terminal() if terminal else io.StringIO()
        call_command("data_sync", "show", str(changeset.pk), stdout=out, **options)
        assert "\x1b[" not in out.getvalue() or (terminal and not options)

"""What holds for every verb: exit codes, `--json`, `--as`, errors, and that each is documented."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import OperationalError

from data_sync.management.commands.data_sync import Command
from data_sync.models import Changeset
from data_sync.services import actors, keys
from tests.admin import making

from .conftest import Run

ROOT = Path(__file__).parent.parent.parent


def verbs(parser: argparse.ArgumentParser, *before: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(before), parser
    for group in groups:
        for name, verb in group.choices.items():
            yield from verbs(verb, *before, name)


VERBS = dict(verbs(Command().create_parser("manage.py", "data_sync")))
WORDS = {
    "source add": ["another", "https://staging.example.org", "--key", "env:DATA_SYNC_KEY_X"],
    "source change": ["Staging", "--name", "Other"],
    "source limit": ["Staging", "--rows", "7"],
    "source remove": ["Staging"],
    "source trust": ["Staging", "--models", "testapp.tag"],
    "source untrust": ["Staging"],
    "key create": ["another"],
    "key rotate": ["production"],
    "key revoke": ["production"],
    "pull": ["Staging"],
    "bundle": ["bundle.zip", "--models", "testapp.term"],
    "upload": ["bundle.zip"],
    "cancel": ["{active}"],
    "show": ["{cs}"],
    "accept": ["{cs}", "--all"],
    "reject": ["{cs}", "--all"],
    "approve": ["{cs}"],
    "override": ["{blocked}", "--reason", "because"],
    "apply": ["{approved}"],
    "export": ["{cs}"],
    "verify": ["--all"],
    "revert": ["{cs}"],
}
EVERY = [[*verb.split(), *WORDS.get(verb, [])] for verb in VERBS]


SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.settings", "DATA_SYNC_TEST_CHILD": "default"}
COMMON = {"help", "json", "acting"}

# Usage

WRONG = [
    [],
    ["nonsense"],
    ["source"],
    ["source", "nonsense"],
    ["source", "add", "only-a-name"],
    ["key", "create", "a", "--expires", "soon"],
    ["key", "create", "a", "--models", " , "],
    ["pull"],
    ["cancel", "x"],
    ["show", "0"],
    ["show", "-1"],
    ["show", "９"],
    ["show", "9" * 30],
    ["show", "1", "--change"],
    ["show", "1", "--operation", "move"],
    ["list", "1"],
    ["accept", "1"],
    ["accept", "1", "--al"],
    ["accept", "1", "--all", "--change", "2"],
    ["reject", "--all"],
    ["override", "1"],
    ["list", "--unknown"],
    ["bundle"],
    ["upload", "a.csv", "--model", "a.b,c.d"],
]


@pytest.mark.no_database
@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_usage_ends_with_1_and_says_where_help_is(run: Run, words: list[str]) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (1, "")
    assert "--help" in ran.err and "Traceback" not in ran.err
    document = run(*words, "--json").document
    assert list(document) == ["error"] and document["error"] in run(*words).err + document["error"]


@pytest.mark.no_database
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_help_ends_with_0(run: Run, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert run(*verb.split(), "--help").code == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.no_database
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_djangos_own_options_may_stand_behind_the_verb(verb: str) -> None:
    words = [word.format(cs=1, active=1, blocked=1, approved=1) for word in [*verb.split(), *WORDS.get(verb, [])]]
    words += ["--traceback", "--settings", "a.b", "-v", "2", "--no-color"]
    options = Command().create_parser("manage.py", "data_sync").parse_args(words)
    assert (options.traceback, options.settings, options.verbosity) == (True, "a.b", 2)


@pytest.mark.no_database
def test_every_verb_and_option_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    titles = re.findall(r"^### `(.+)`$", page, re.MULTILINE)
    assert [" ".join(re.findall(r"^(?:[a-z]+ ?)+", title)).strip() for title in titles] == list(VERBS)
    for verb, parser in VERBS.items():
        section = page.split(f"### `{verb}")[1].split("\n### ")[0]
        for action in parser._actions:
            if action.option_strings and action.help != argparse.SUPPRESS and action.dest not in COMMON:
                assert f"`{action.option_strings[-1]}" in section, f"{verb} {action.option_strings[-1]}"


# Who does it


@pytest.fixture
def prepared(run: Run) -> dict[str, int]:
    """Something for every verb to work on; by name, the numbers that WORDS leaves open."""
    making.source()
    keys.create_key("production", actors.command_line())
    states = {"cs": "pending", "blocked": "blocked", "approved": "approved"}
    numbers = {name: making.changeset([making.update()], state=state).pk for name, state in states.items()}
    return numbers | {"active": making.pull(state="reading", active_source=77).pk}


def everything() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in apps.get_app_config("data_sync").get_models()]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_an_unknown_or_inactive_user_may_do_nothing(run: Run, prepared: dict[str, int], words: list[str]) -> None:
    gone = making.user("gone", "*")
    gone.is_active = False
    gone.save()
    before = everything()
    for name, reason in (("nobody", "There is no user “nobody”."), ("gone", "The user “gone” is not active.")):
        ran = run(*[word.format(**prepared) for word in words], "--as", name, "--json")
        assert (ran.code, ran.document) == (1, {"error": reason})
        assert reason in ran.err
    assert everything() == before


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_a_user_without_permissions_may_do_nothing(run: Run, prepared: dict[str, int], words: list[str]) -> None:
    """RELIABILITY 13: a verb asks for its permission, by name, before anything else."""
    making.user("mira")
    before = everything()
    ran = run(*[word.format(**prepared) for word in words], "--as", "mira", "--json")
    assert ran.code == 1
    needed = "auth.add_group" if words == ["groups"] else "data_sync."
    assert f"mira lacks the permission {needed}" in ran.document["error"]
    assert everything() == before


@pytest.mark.django_db(databases="__all__")
@pytest.mark.usefixtures("rows_that_fit")
def test_the_actor_is_kept(run: Run) -> None:
    making.user("mira", "approve_changeset", "view_changeset")
    changeset = making.changeset([making.update()])
    assert run("accept", changeset.pk, "--all", "--as", "mira").code == 0
    assert run("approve", changeset.pk).code == 0
    events = list(changeset.events.order_by("number").values_list("action", "actor", "user__username"))
    assert events == [("decided", "mira", "mira"), ("approved", "command line", None)]


# Errors


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_a_database_without_tables_is_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, json_option: list[str]
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("no such table: data_sync_changeset")

    monkeypatch.setattr(Changeset.objects, "defer", fail)
    ran = run("list", *json_option)
    assert ran.code == 1
    assert "run manage.py migrate" in ran.err and "Traceback" not in ran.err
    assert ran.out == "" if not json_option else "no such table" in ran.document["error"]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(
    "words",
    [
        "database is locked",
        "database table is locked",
        "deadlock detected",
        "canceling statement due to lock timeout",
        "(1205, 'Lock wait timeout exceeded; try restarting transaction')",
        "(1213, 'Deadlock found when trying to get lock; try restarting transaction')",
    ],
)
def test_a_busy_database_is_to_be_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    def fail(*_: object) -> None:
        raise OperationalError(words)

    monkeypatch.setattr(Changeset.objects, "defer", fail)
    ran = run("list")
    assert (ran.code, "migrate" in ran.err) == (1, False)
    assert ran.err.endswith(f"The database is busy: {words}. Try again.\n")


@pytest.mark.django_db(databases="__all__")
def test_what_nobody_foresaw_leaves_a_traceback_and_a_document(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(Changeset.objects, "defer", fail)
    with pytest.raises(ZeroDivisionError):
        run("list")
    out = Capture()
    with pytest.raises(ZeroDivisionError):
        call_command("data_sync", "list", "--json", stdout=out)
    assert json.loads(out.text) == {"error": "Unexpected ZeroDivisionError; see stderr."}


class Capture:
    """A stream that keeps what is written to it."""

    text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_ctrl_c_ends_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, json_option: list[str]) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Changeset.objects, "defer", stop)
    ran = run("list", *json_option)
    assert (ran.code, ran.err.strip()[-8:]) == (1, "Stopped.")
    assert ran.out == "" if not json_option else ran.document == {"error": "Stopped."}


@pytest.mark.django_db(databases="__all__")
def test_an_error_from_outside_commands_no_terminal(run: Run) -> None:
    ran = run("pull", "a\x1b]0;owned\x07b")
    assert ran.code == 1
    assert "\x1b" not in ran.err and "⟨U+001B⟩" in ran.err


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("words", [["show", "{}"], ["show", "{}", "--json"], ["export", "{}"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error_to_tell(words: list[str]) -> None:
    """As in `data_sync show 42 | head`."""
    changeset = making.changeset([making.update(number, "old " * 50, "new " * 50) for number in range(1, 500)])
    arguments = [word.format(changeset.pk) for word in words]
    with subprocess.Popen(
        [sys.executable, "-m", "django", "data_sync", *arguments, "--skip-checks"],
        env=os.environ | SETTINGS,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None and writer.stderr is not None
        writer.stdout.read(10)
        writer.stdout.close()
        assert (writer.stderr.read(), writer.wait(60)) == (b"", 1)


@pytest.mark.django_db(transaction=True, databases="__all__")
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16"])
def test_json_is_utf_8_and_text_is_printed_in_any_encoding(encoding: str) -> None:
    making.changeset([making.update(1, "大阪", "京都")], source_name="Zürich 大阪")
    for option in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "django", "data_sync", "list", "--skip-checks", *option],
            env={**os.environ, **SETTINGS, "PYTHONIOENCODING": encoding},
            cwd=ROOT,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        if option:
            assert json.loads(done.stdout)["changesets"][0]["source"] == "Zürich 大阪"


# Called from Python


@pytest.mark.django_db(databases="__all__")
def test_called_from_python_errors_are_command_errors_and_there_is_no_exit() -> None:
    with pytest.raises(CommandError, match="There is no changeset 7"):
        call_command("data_sync", "show", "7")
    with pytest.raises(CommandError, match="required: CS, a changeset's number; or --key"):
        call_command("data_sync", "show")

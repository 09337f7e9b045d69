"""``python3 -m tests``: what is missing is named, and fails where nothing may be left out."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests import outside, runner

pytestmark = pytest.mark.no_database


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in CI nor with --require-services."""
    monkeypatch.delenv("CI", raising=False)
    # Set first, so that it is gone again afterwards whatever the runner does.
    monkeypatch.setenv(outside.REQUIRED, "")


@pytest.fixture
def nobody_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers at a port where nothing listens."""
    for name in ("POSTGRESQL", "MARIADB"):
        monkeypatch.setenv(f"DATA_SYNC_TEST_{name}_PORT", "1")


@pytest.mark.usefixtures("at_home", "nobody_home")
@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_a_missing_server_is_left_out_and_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["--only", name]) == 0
    said = capsys.readouterr().out
    assert "left out" in said
    assert f"no {name} server answers at 127.0.0.1:1" in said


@pytest.mark.usefixtures("at_home", "nobody_home")
@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_a_missing_server_fails_where_services_are_required(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["--only", name, "--require-services"]) == 1
    assert f"FAILED    no {name} server answers" in capsys.readouterr().out


@pytest.mark.usefixtures("nobody_home")
def test_a_missing_server_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert runner.main(["--only", "mariadb"]) == 1


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (2, 1), (5, 1)])
def test_any_failure_of_pytest_is_the_commands(code: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.subprocess, "run", lambda command, **_: CompletedProcess(command, code))
    monkeypatch.setattr(outside, "why_no_chromium", lambda: None)
    assert runner.main(["--only", "sqlite", "-k", "something"]) == expected


def test_unknown_arguments_go_to_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def run(command: list[str], **_: Any) -> CompletedProcess[str]:
        commands.append(command)
        return CompletedProcess(command, 0)

    monkeypatch.setattr(runner.subprocess, "run", run)
    runner.main(["--only", "sqlite", "-k", "approve", "-x", "tests/core"])
    assert commands[0][-4:] == ["-k", "approve", "-x", "tests/core"]


def test_what_a_later_database_said_is_printed_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], *, env: dict[str, str], stdout: int | None, **_: Any) -> CompletedProcess[str]:
        name = env["DATA_SYNC_TEST_DATABASE"]
        return CompletedProcess(command, 1, stdout and f"what {name} said\n")

    monkeypatch.setattr(runner.subprocess, "run", run)
    monkeypatch.setattr(outside, "why_unreachable", lambda name: None)
    assert runner.main(["--only", "postgresql", "--only", "mariadb"]) == 1
    said = capsys.readouterr().out
    assert "==> the tests on postgresql\n" in said and "what postgresql said" not in said
    assert "==> the tests on mariadb\nwhat mariadb said\n" in said
    assert said.index("what mariadb said") < said.index("Summary")


def test_the_tally_counts_what_pytest_reported(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="9" failures="2" errors="1" skipped="3"/></testsuites>')
    assert runner.tally(report) == "3 passed, 2 failed, 1 broken in set-up, 3 skipped"


def test_a_run_that_wrote_no_report_has_no_tally(tmp_path: Path) -> None:
    assert runner.tally(tmp_path / "report.xml") == ""

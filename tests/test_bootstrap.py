"""The set-up that the README's commands begin with: it decides right and leaves nothing half-made."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bootstrap

pytestmark = pytest.mark.no_database


class Ended(Exception):
    """Stands for the process being replaced."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """An empty place for the environment, and a record of what would have been run."""
    made: list[tuple[str, ...]] = []
    venv = tmp_path / "venv"
    monkeypatch.setattr(bootstrap, "VENV", str(venv))
    monkeypatch.setattr(bootstrap, "STAMP", str(venv / "stamp.json"))
    monkeypatch.setattr(bootstrap, "_make", lambda: (venv.mkdir(exist_ok=True), made.append(("make",))))
    monkeypatch.setattr(bootstrap, "_pip", lambda *arguments: made.append(arguments))

    def run_inside(module: str) -> None:
        made.append(("run", module))
        raise Ended

    monkeypatch.setattr(bootstrap, "_run_inside", run_inside)
    return made


def start(*extras: str) -> None:
    with pytest.raises(Ended):
        bootstrap.ensure(extras=extras, module="tests")


def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_has_everything", lambda extras: False)


def test_an_environment_that_has_everything_is_used_and_not_touched(calls: list[tuple[str, ...]]) -> None:
    bootstrap.ensure(extras=("demo", "dev"), module="tests")
    assert calls == []


def test_the_first_start_installs_and_the_second_only_runs(
    calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside(monkeypatch)
    start("demo")
    assert [call[0] for call in calls] == ["make", "install", "run"]
    calls.clear()
    start("demo")
    assert calls == [("run", "tests")]


def test_extras_that_were_installed_before_are_kept(
    calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside(monkeypatch)
    start("dev")
    start("demo")
    assert calls[-2][-1] == ".[demo,dev]"
    calls.clear()
    start("dev")
    assert calls == [("run", "tests")]


def test_changed_requirements_are_installed(calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    outside(monkeypatch)
    start("demo")
    monkeypatch.setattr(bootstrap, "_fingerprint", lambda: "another")
    calls.clear()
    start("demo")
    assert [call[0] for call in calls] == ["make", "install", "run"]


def test_an_interrupted_installation_is_done_again(
    calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside(monkeypatch)
    start("demo")
    monkeypatch.setattr(bootstrap, "_fingerprint", lambda: "another")
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(bootstrap, "_pip", raiser(KeyboardInterrupt))
        bootstrap.ensure(extras=("demo",), module="tests")
    assert not os.path.exists(bootstrap.STAMP)
    calls.clear()
    start("demo")
    assert "install" in [call[0] for call in calls]


def test_a_folder_that_is_no_environment_is_never_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "precious").touch()
    monkeypatch.setattr(bootstrap, "VENV", str(tmp_path))
    with pytest.raises(SystemExit, match="not a virtual environment"):
        bootstrap._make()
    assert (tmp_path / "precious").exists()


def test_an_old_python_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    with pytest.raises(SystemExit) as refusal:
        bootstrap.ensure(extras=("demo",), module="demo")
    assert str(refusal.value) == "data_sync needs Python 3.11 or newer; this is Python 3.9."


@pytest.mark.parametrize("path", ["bootstrap.py", "tests/__main__.py", "demo/__main__.py"])
def test_old_pythons_can_parse_what_refuses_them(path: str) -> None:
    source = (Path(bootstrap.ROOT) / path).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 7))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.AnnAssign)]


def test_it_needs_nothing_but_the_standard_library() -> None:
    subprocess.run([sys.executable, "-S", "-c", "import bootstrap"], cwd=bootstrap.ROOT, check=True)


def raiser(error: type[BaseException]) -> Callable[..., None]:
    def fail(*arguments: object) -> None:
        raise error

    return fail

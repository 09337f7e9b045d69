"""The demo does what it says, and its check of the result is able to fail."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from demo import compare, environments, processes
from demo.shop import pictures

# The demo brings its own SQLite files; once is enough, whatever database the suite runs on.
pytestmark = pytest.mark.no_database
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    code: int
    stdout: str
    stderr: str
    state: Path

    @property
    def report(self) -> dict[str, Any]:
        return dict(json.loads(self.stdout))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One `python -m demo --once`, which every test of this module looks at."""
    directory = tmp_path_factory.mktemp("demo")
    ran = subprocess.run(
        [sys.executable, "-m", "demo", "--once", "--dir", str(directory), "--port", "18701"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
    )
    return Run(code=ran.returncode, stdout=ran.stdout, stderr=ran.stderr, state=directory / "once")


@pytest.fixture
def pair(run: Run, tmp_path: Path) -> tuple[environments.Environment, environments.Environment]:
    """A copy of what the run left behind, to damage."""
    state = tmp_path / "state"
    shutil.copytree(run.state, state)
    return environments.pair(state, 1, 2)


def test_the_whole_round_ends_with_equal_environments(run: Run) -> None:
    assert run.code == 0, run.stderr
    assert run.report["ok"] is True
    assert all(run.report["checks"].values()), run.report["checks"]


def test_the_first_pull_finds_nothing_the_second_the_edits_the_third_nothing(run: Run) -> None:
    report = run.report
    assert report["first_pull"]["changeset"] is None
    assert report["first_pull"]["compared"] > 5_000
    counts = report["pull"]["counts"]
    assert counts["create"] > 100 and counts["update"] > 20 and counts["delete"] > 3
    assert report["second_pull"]["changeset"] is None


def test_every_change_was_applied(run: Run) -> None:
    assert run.report["apply"]["state"] == "applied"
    assert run.report["apply"]["outcomes"] == {"applied": sum(run.report["pull"]["counts"].values())}


def test_local_rows_go_only_where_the_review_said_so(run: Run) -> None:
    local = run.report["local_rows"]
    assert local["editornote"]["taken_along"] == 2 and local["stocklevel"]["taken_along"] == 2
    for rows in local.values():
        assert rows["after"] == rows["before"] - rows["taken_along"]


def test_both_environments_have_other_primary_keys_for_equal_rows(
    pair: tuple[environments.Environment, environments.Environment],
) -> None:
    found = []
    for environment in pair:
        with closing(sqlite3.connect(environment.database)) as connection:
            found.append(dict(connection.execute("SELECT code, id FROM shop_country")))
    assert found[0].keys() == found[1].keys()
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE shop_copy SET value = value || ' ' WHERE id = 7", "copy"),
        ("UPDATE shop_copy SET hint = '' WHERE hint IS NULL AND id = 7", "copy"),
        ("UPDATE shop_price SET amount = amount + 0.001 WHERE id = 7", "price"),
        ("DELETE FROM shop_product_tags WHERE id = 7", "product.tags"),
        ("UPDATE shop_category SET parent_id = NULL WHERE slug = 'maps'", "category"),
        (
            "UPDATE shop_setting SET value = json_set(value, '$.cutoff', '14:01') WHERE name = 'delivery'",
            "setting",
        ),
        ("UPDATE shop_copy SET thumbnail = 'copy/no-such-file.png' WHERE thumbnail != ''", "copy"),
    ],
)
def test_the_comparison_sees_a_planted_difference(
    pair: tuple[environments.Environment, environments.Environment], statement: str, table: str
) -> None:
    with closing(sqlite3.connect(pair[1].database)) as connection, connection:
        assert connection.execute(statement).rowcount > 0
    unequal = {name for name, found in compare.differences(*pair).items() if found["different"]}
    assert unequal == {table}


def test_the_comparison_sees_one_changed_byte_of_a_picture(
    pair: tuple[environments.Environment, environments.Environment],
) -> None:
    picture = next(pair[1].media.glob("product/*.png"))
    picture.write_bytes(picture.read_bytes()[:-1] + b"\0")
    assert compare.pictures(pair[0]) != compare.pictures(pair[1])
    assert compare.differences(*pair)["product"]["different"] == 1


@pytest.mark.parametrize("name", environments.NAMES)
def test_a_server_says_where_it_is_keeps_its_own_cookie_and_ends_with_the_block(
    pair: tuple[environments.Environment, environments.Environment], name: str
) -> None:
    ports = [processes.free_port(18_750), processes.free_port(18_780)]
    both = environments.pair(pair[0].state, *ports)
    environment = both[environments.NAMES.index(name)]
    with processes.server(environment), urlopen(f"{environment.url}/admin/login/", timeout=30) as page:
        text, headers = page.read().decode(), page.headers
    assert f"demo-band demo-{name}" in text
    assert f"demo_{name}_csrf=" in headers["Set-Cookie"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert processes.free_port(environment.port) == environment.port


def test_a_picture_is_drawn_the_same_twice_and_another_edition_differs() -> None:
    draw: Callable[[int], bytes] = lambda edition: pictures.draw("landscape", "JP", edition=edition)  # noqa: E731
    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_a_reset_leaves_alone_what_the_demo_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("Years of work.")
    with pytest.raises(SystemExit, match="not the demo's"):
        environments.reset(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_second_demo_in_one_directory_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo", "--reset", "--dir", str(tmp_path)]
    with environments.only_one(tmp_path) as alone:
        assert alone
        second = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60)
    assert second.returncode == 1
    assert "is running already" in second.stderr
    assert [path.name for path in tmp_path.iterdir()] == [environments.LOCK]
    with environments.only_one(tmp_path) as alone:
        assert alone, "the lock ends with the block"


def test_the_directory_of_somebody_else_gets_no_lock_file(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("Years of work.")
    command = [sys.executable, "-m", "demo", "--dir", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60)
    assert ran.returncode == 1 and "not the demo's" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_busy_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        assert processes.free_port(busy) > busy

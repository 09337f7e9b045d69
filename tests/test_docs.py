"""The documentation says what there is: every setting, permission, check and URL, and examples that are true."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import models

from data_sync import registry, urls
from data_sync.admin.pages import ScreensAdmin
from data_sync.core import states
from data_sync.core.source import Request
from data_sync.management.commands.data_sync import Command
from data_sync.orm.read import LocalSource
from data_sync.services import approval
from data_sync.services.document import changeset_document
from tests.environments import Environments
from tests.testapp.models import Article, Category, Copy, Country, Everything, Language, Product, Tag

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
RECOMPUTE = DOCS / "reference" / "recompute.py"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]

no_database = pytest.mark.no_database


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def source_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "data_sync").rglob("*.py")))


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# The reference is complete, and names nothing that is not there


@no_database
def test_every_setting_is_in_the_reference() -> None:
    settings = set(re.findall(r'_setting\(\s*"([A-Z_]+)"', (ROOT / "data_sync" / "conf.py").read_text()))
    assert settings
    terms = dict(re.findall(r"^`(DATA_SYNC_[A-Z_]+)`\n:(.*?)(?=\n\n|\Z)", page("reference/settings.md"), re.M | re.S))
    assert set(terms) == {f"DATA_SYNC_{name}" for name in settings}
    assert all("Default:" in words for words in terms.values())


@no_database
def test_every_permission_is_in_the_reference() -> None:
    permissions = {
        f"data_sync.{codename}"
        for model in apps.get_app_config("data_sync").get_models()
        for codename in (
            *(f"{verb}_{model._meta.model_name}" for verb in model._meta.default_permissions),
            *(codename for codename, _ in model._meta.permissions),
        )
    }
    assert set(re.findall(r"`(data_sync\.[a-z]+_[a-z_]+)`", page("reference/permissions.md"))) == permissions


@no_database
def test_every_permission_that_a_page_names_exists() -> None:
    known = set(re.findall(r"`data_sync\.([a-z_]+)`", page("reference/permissions.md")))
    columns = [row.split("|")[-2] for row in page("reference/urls.md").splitlines() if row.startswith("| `")]
    named = {word for column in columns for word in re.findall(r"`([a-z]+_[a-z_]+)`", column)}
    assert named and named <= known


@no_database
def test_every_system_check_is_in_the_reference() -> None:
    checks = set(re.findall(r'"(data_sync\.[EWI]\d{3})"', source_text()))
    assert checks
    assert set(re.findall(r"^\| `(data_sync\.[EWI]\d{3})` \|", page("reference/checks.md"), re.M)) == checks


@no_database
def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py|tests/\w+)`", page("explanation/threat-model.md")))
    assert len(named) > 20
    assert {name for name in named if not (ROOT / name).exists()} == set()


@no_database
def test_every_url_is_in_the_reference() -> None:
    endpoints = {_route(str(pattern.pattern)) for pattern in urls.urlpatterns}
    assert set(re.findall(r"^\| `(?:GET|POST) (data_sync/[^`]+)` \|", page("reference/urls.md"), re.M)) == endpoints
    pages = {
        f"{model._meta.model_name}/{_route(route)}"
        for model, screens in admin.site._registry.items()
        if isinstance(screens, ScreensAdmin)
        for route in ("", *(route for route, _ in screens.screens().values()))
    }
    documented = set(re.findall(r"^\| `([a-z]+/[^`]*)`(?: \(POST\))? \|", page("reference/urls.md"), re.M))
    assert documented == pages


def _route(pattern: str) -> str:
    return re.sub(r"<\w+:(\w+)>", r"<\1>", pattern)


@no_database
def test_every_option_of_a_registration_is_in_the_reference() -> None:
    options = set(inspect.signature(registry.register).parameters) - {"model"}
    assert set(re.findall(r"^### `(\w+)`$", page("reference/registration.md"), re.M)) == options


@no_database
@pytest.mark.parametrize("words", [states.PullState, states.ChangesetState, states.Decision, states.Outcome])
def test_every_state_is_in_the_reference(words: Any) -> None:
    assert {word.value for word in words} <= set(re.findall(r"^\| `(\w+)` \|", page("reference/states.md"), re.M))


@no_database
def test_every_problem_is_explained() -> None:
    codes = set(re.findall(r'\bproblem\(\s*"(\w+)"', source_text()))
    assert codes
    assert codes <= set(re.findall(r"^\| `(\w+)`:? ?", page("how-to/when-something-fails.md"), re.M))
    reference = page("reference/changeset-json.md")
    listed = "".join(
        reference.partition(f"`{member}`\n:")[2].partition("\n\n")[0] for member in ("problems", "warnings")
    )
    assert codes <= set(re.findall(r"`(\w+)`", listed))


@no_database
def test_every_action_of_the_audit_trail_is_in_the_reference() -> None:
    actions = {"stale", "failed"} | {
        call.args[2].value
        for path in (ROOT / "data_sync" / "services").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "audit.record"
        if isinstance(call.args[2], ast.Constant)
    }
    assert len(actions) > 5
    listed = page("reference/changeset-json.md").partition("\nand `hash`. Actions:")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == actions


@no_database
def test_every_action_of_a_source_is_in_the_reference() -> None:
    names = ("sources", "limits", "rotation", "trust")
    texts = [(ROOT / "data_sync" / "services" / f"{name}.py").read_text() for name in names]
    actions = {
        call.args[2].value
        for call in (node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        if ast.unparse(call.func) == "audit.record_of" and isinstance(call.args[2], ast.Constant)
    }
    assert len(actions) > 5
    listed = page("reference/commands.md").partition("never a key. Actions:")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == actions


@no_database
def test_every_action_of_a_key_or_caller_is_in_the_reference() -> None:
    texts = [(ROOT / "data_sync" / path).read_text() for path in ("services/keys.py", "views.py")]
    actions = {
        argument.value
        for call in (node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        if re.fullmatch(r"audit\.record_of|export_events\.record_\w+", ast.unparse(call.func))
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
    assert len(actions) > 5
    table = page("reference/urls.md").partition("### What is recorded")[2].partition("### Manifest")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == actions


@no_database
def test_every_command_that_a_page_shows_can_be_parsed() -> None:
    parser = Command().create_parser("manage.py", "data_sync")
    shown = [(path, line) for path in PAGES for line in _commands(path.read_text(encoding="utf-8"))]
    assert len(shown) > 20
    for path, line in shown:
        words = [re.sub(r"^(\$|\")\S*$", "42", word) for word in line.replace('"$number"', "42").split()]
        try:
            parser.parse_args(words)
        except Exception as error:
            pytest.fail(f"{path.relative_to(ROOT)}: data_sync {line}: {error}")


def _commands(text: str) -> Iterator[str]:
    """What follows `data_sync` in the code blocks for terminals, without redirections and comments."""
    for language in ("console", "sh"):
        for block in blocks(text, language):
            for found in re.findall(r"(?:manage\.py|manage\.py production) data_sync (.*)", block):
                yield re.split(r"\s[<>#|]|\)$|&&", found)[0].strip()


@no_database
def test_the_parser_knows_each_verb_that_a_page_names() -> None:
    parser = Command().create_parser("manage.py", "data_sync")
    [verbs] = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    named = {verb for path in PAGES for verb in re.findall(r"`data_sync ([a-z]+)", path.read_text(encoding="utf-8"))}
    assert named and named <= set(verbs)


@no_database
def test_every_button_that_a_page_names_is_on_a_screen() -> None:
    folders = (ROOT / "data_sync" / "templates", ROOT / "data_sync" / "admin")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".html", ".py")]
    screens = "\n".join(path.read_text(encoding="utf-8") for path in files).replace("&amp;", "&")
    screens = re.sub(r"\{\{[^}]*\}\}|%\(\w+\)s", "0", screens)
    guides = [path for path in PAGES if path.parent.name in ("tutorial", "how-to")]
    named = {name for path in guides for name in re.findall(r"\*\*([^*]+)\*\*", path.read_text(encoding="utf-8"))}
    assert len(named) > 10
    numberless = {name: re.sub(r"\d+", "0", name) for name in named}
    # "Accept 6 undecided" is made of three parts.
    built = {name: re.sub(r"0 (undecided|accepted|rejected)$", "0 0", words) for name, words in numberless.items()}
    assert [name for name in named if numberless[name] not in screens and built[name] not in screens] == []


# Examples are true


@no_database
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_can_be_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for block in blocks(text, "python"):
        ast.parse(block)
    for block in blocks(text, "json"):
        try:
            json.loads(block)
        except ValueError:
            for line in block.splitlines():
                json.loads(line)


@no_database
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_files_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@no_database
@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_images_that_a_page_shows_are_there(path: Path) -> None:
    for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        image = path.parent / target
        assert words, f"{target}: no words for people who do not see it"
        assert image.is_file(), target
        assert image.read_bytes().startswith(b"\x89PNG") and image.stat().st_size < 250_000, target


@no_database
def test_every_image_is_shown_and_the_readme_shows_the_review() -> None:
    shown = {
        (path.parent / target).resolve()
        for path in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
    }
    assert shown == {path.resolve() for path in (DOCS / "images").iterdir()}
    assert "](docs/images/review.png)" in (ROOT / "README.md").read_text(encoding="utf-8")


FORMS = [
    ("char", "Été", '"Été"'),
    ("boolean", True, "true"),
    ("big", 9007199254740993, "9007199254740993"),
    ("number", 2.5, "2.5"),
    ("number", 1e16, "10000000000000000"),
    ("amount", Decimal("12.5"), '"12.5000"'),
    ("date", date(2026, 1, 31), '"2026-01-31"'),
    ("time", time(12), '"12:00:00"'),
    ("moment", datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC), '"2026-01-31T12:00:00.000005+00:00"'),
    ("duration", timedelta(days=1, hours=2, microseconds=5), '"1 02:00:00.000005"'),
    ("uuid", UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
    ("binary", b"\x00\xff", '"AP8="'),
    ("json", models.Value(None, models.JSONField()), '{"$json": null}'),
    ("json", {"a": [1, 2.5, None]}, '{"a": [1, 2.5, null]}'),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "value", "plain"), FORMS, ids=[f"{name} {plain}" for name, _, plain in FORMS])
def test_plain_forms_are_as_the_reference_shows(name: str, value: Any, plain: str) -> None:
    Everything.objects.create(name="all", **{name: value})
    with LocalSource().stream(Request(models=("testapp.everything",))) as stream:
        _, line, _, _ = b"".join(stream).decode().split("\n")
    _, [model, key, fields, files] = json.loads(line)
    assert (model, key, files) == ("testapp.everything", ["all"], {})
    assert json.dumps(fields[name], ensure_ascii=False) == plain
    kind = "IntegerField" if name == "big" else type(Everything._meta.get_field(name)).__name__
    [row] = [row for row in page("reference/records.md").splitlines() if row.startswith("| ") and f"`{kind}`" in row][
        :1
    ]
    assert f"`{plain}`" in row


@no_database
def test_every_kind_of_field_has_a_plain_form_in_the_reference() -> None:
    table = page("reference/records.md").partition("\n| field | plain form")[2]
    kin = (models.IntegerField, models.AutoField)
    for field in Everything._meta.concrete_fields:
        name = "IntegerField" if isinstance(field, kin) else type(field).__name__
        assert f"`{name}`" in table


@no_database
def test_the_registration_in_the_readme_passes_the_checks(tmp_path: Path) -> None:
    [example, *_] = [block for block in blocks((ROOT / "README.md").read_text(), "python") if "register_model" in block]
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "models.py").write_text(example, encoding="utf-8")
    _run(tmp_path, "call_command('check', fail_level='WARNING')", apps=["shop"])


@no_database
def test_an_installation_of_the_older_package_can_move_over(tmp_path: Path) -> None:
    [listing] = blocks(page("how-to/move-over.md"), "python")
    [dropping] = blocks(page("how-to/move-over.md"), "sql")
    script = f"""
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
call_command("migrate", "auth", verbosity=0)
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE data_sync_datasource (id integer PRIMARY KEY, env_name text, env_url text)")
    cursor.execute("CREATE TABLE data_sync_datapull (id integer PRIMARY KEY, data_source_id integer)")
    cursor.execute("INSERT INTO data_sync_datasource VALUES (1, 'develop', 'https://develop.example.com/api')")
MigrationRecorder(connection).record_applied("data_sync", "0001_initial")
call_command("migrate", verbosity=0)
{listing}
from data_sync.models import DataPull, DataSource
assert not DataSource.objects.exists() and not DataPull.objects.exists()
with connection.cursor() as cursor:
    for statement in {dropping!r}.split(";"):
        cursor.execute(statement)
assert "data_sync_source" in connection.introspection.table_names()
call_command("check", fail_level="WARNING")
"""
    printed = _run(tmp_path, script)
    assert "python manage.py data_sync source add develop https://develop.example.com/api" in printed


def _run(folder: Path, script: str, apps: Sequence[str] = ()) -> str:
    """Runs a script in a small project of its own, and gives what it printed."""
    begin = f"""
import django
from django.conf import settings
from django.core.management import call_command
settings.configure(
    BASE_DIR={str(folder)!r},
    SECRET_KEY="x" * 50,
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {str(folder / "database")!r}}}}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "data_sync", *{apps!r}],
    USE_TZ=True,
)
django.setup()
"""
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", begin + script],
        cwd=folder,
        env=environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# The program that recomputes what an export states


def _recompute(path: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-I", str(RECOMPUTE), str(path)], capture_output=True, encoding="utf-8")
    assert not done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def changeset(environments: Environments) -> Any:
    """Creates, updates, deletes and a rename; files, references, links, JSON, cascades and carried values."""
    add, put = environments.add, environments.put
    france = add(Country, code="FR")
    french = add(Language, country=france, code="fr")
    add(Language, country=add(Country, code="GR", only="source"), code="el", only="source")
    red = put("red.png", b"red")
    put("green.png", b"green", only="source")
    add(
        Copy, language=french, key="title", value=("Été\u2028\U0001f600", "É"), default="", thumbnail=("green.png", red)
    )
    add(Copy, language=french, key="gone", value="", default="", thumbnail=red, only="default")
    values = {"json": {"z": [1, 1.0, -0.0, 1e22, 10**30, None], "ä": {"": True}}, "number": 1e-7, "binary": b"\x00\xff"}
    add(Everything, name="all", only="source", moment=datetime(2026, 1, 31, 12, tzinfo=UTC), **values)
    lamp = add(Product, sku="lamp", name=("Lamp, improved", "Lamp"), category=add(Category, slug="light"))
    lamp[0].tags.add(add(Tag, name="new", only="source")[0])
    add(Article, slug=("new-name", "old-name"), title="The same")
    return environments.changeset()


def _export(changeset: Any, environments: Environments, folder: Path) -> Path:
    path = folder / "changeset.json"
    changeset.refresh_from_db()
    path.write_text("".join(changeset_document(changeset, environments.actor)), encoding="utf-8")
    return path


def test_an_export_agrees_with_itself_from_pull_to_apply(
    changeset: Any, environments: Environments, tmp_path: Path
) -> None:
    agreed = (0, "everything agrees\n")
    assert _recompute(_export(changeset, environments, tmp_path)) == agreed
    environments.accept_all(changeset)
    environments.approve(changeset)
    assert _recompute(_export(changeset, environments, tmp_path)) == agreed
    approval.withdraw(changeset.pk, environments.actor)
    assert _recompute(_export(changeset, environments, tmp_path)) == agreed
    environments.approve(changeset)
    environments.apply(changeset)
    exported = _export(changeset, environments, tmp_path)
    assert json.loads(exported.read_text(encoding="utf-8"))["changeset"]["state"] == states.ChangesetState.APPLIED
    assert _recompute(exported) == agreed


def _a_value(document: Any) -> None:
    document["changes"][0]["after"] = {"code": "IT"}


def _a_cascade(document: Any) -> None:
    document["changes"][-1]["cascades"].append({"model": "shop.stock", "pk": "1", "label": "", "effect": "delete"})


def _a_decision(document: Any) -> None:
    document["changes"][0]["decision"] = "rejected"


def _an_acknowledgement(document: Any) -> None:
    document["changes"][0]["acknowledged_digest"] = "absent"


def _a_choice_of_a_rename(document: Any) -> None:
    next(change for change in document["changes"] if change["operation"] == "rename")["rename_choice"] = "replace"


def _a_conflict(document: Any) -> None:
    document["changes"][0]["conflict"] = {"kind": "removed", "by": "", "at": ""}


def _a_former_key(document: Any) -> None:
    next(change for change in document["changes"] if change["operation"] == "rename")["previous_key"] = ["another"]


def _a_change_less(document: Any) -> None:
    del document["changes"][1]


def _an_actor(document: Any) -> None:
    document["events"][1]["actor"] = "somebody else"


def _an_event_less(document: Any) -> None:
    del document["events"][1]


def _the_last_event_less(document: Any) -> None:
    del document["events"][-1]


def _nothing_but_white_space(document: Any) -> None:
    """What `json.dumps` puts there."""


@pytest.mark.parametrize(
    ("alter", "found"),
    [
        (_a_value, "change 1: after_digest"),
        (_a_cascade, "content_digest"),
        (_a_conflict, "content_digest"),
        (_a_former_key, "content_digest"),
        (_a_decision, "approval seal"),
        (_an_acknowledgement, "approval seal"),
        (_a_choice_of_a_rename, "approval seal"),
        (_a_change_less, "content seal"),
        (_an_actor, "event 2"),
        (_an_event_less, "event 2"),
        (_the_last_event_less, "chain"),
        (_nothing_but_white_space, "proof"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_export_that_was_edited_does_not_agree(
    alter: Callable[[Any], None], found: str, changeset: Any, environments: Environments, tmp_path: Path
) -> None:
    environments.accept_all(changeset)
    environments.approve(changeset)
    path = _export(changeset, environments, tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    alter(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    code, printed = _recompute(path)
    assert code == 1
    assert re.search(rf"^differs: (.*: )?{re.escape(found)}$", printed, re.MULTILINE), printed

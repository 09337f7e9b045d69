"""Forms with more in them than the page had: nothing changes but what the page is about."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from data_sync import models
from data_sync.models import Change, Changeset, Comment, DataPull, DataSource, Event, ExportKey
from data_sync.services import approval, remarks, review, source_checks, sources
from data_sync.services.actors import command_line, of_user
from tests.matrix import ROWS, Scene

from . import making

pytestmark = pytest.mark.django_db

OURS = (DataSource, ExportKey, DataPull, Changeset, Change, Event)
ACTIONS: dict[type[Any], set[str]] = {
    Changeset: {"export_rows", "export_json"},
    Change: {"export_rows"},
    Event: {"export_rows"},
}
"""What a list offers to do with chosen rows: to take them along, and nothing else."""
TIME = "2020-01-01T00:00:00Z"
EDITED: dict[str, dict[type[Any], set[str]]] = {
    "changeset_decide": {
        Changeset: {"revision"},
        Change: {"decision", "decided_revision", "decision_before", "acknowledged_before", "carried_before"},
    },
    "changeset_resolve": {Changeset: {"revision"}},
    "changeset_undo": {},
    "changeset_viewed": {},
    "changeset_comment": {},
    "changeset_rehearse": {},
    "changeset_export": {},
    "changeset_verify": {},
    "changeset_verify_file": {},
    "changeset_approve": {
        Changeset: {"state", "approval_seal", "approved_revision", "approved_at", "approved_by_id", "approval_actor"},
    },
    "changeset_withdraw": {Changeset: {"state", "approval_actor"}},
    "changeset_reject": {Changeset: {"state", "state_reason"}},
    "changeset_override": {Changeset: {"state", "state_reason"}},
    "changeset_revert": {},
    "changeset_table": {},
    "change_table": {},
    "event_table": {},
    "datasource_add": {},
    "datasource_edit": {DataSource: {"name", "url", "key"}},
    "datasource_delete": {Changeset: {"source_id"}, DataPull: {"source_id"}},
    "datasource_test": {},
    "datasource_pull": {},
    "datasource_pull_and_apply": {},
    "datasource_limits": {DataSource: {"delete_limit", "delete_percent"}},
    "datasource_trust": {},
    "datasource_untrust": {},
    "datapull_add": {},
    "datapull_upload": {},
    "datapull_cancel": {DataPull: {"state", "error", "active_source", "finished_at"}},
    "exportkey_add": {},
    "exportkey_revoke": {ExportKey: {"revoked_at"}},
    "exportkey_rotate": {ExportKey: {"name", "expires_at"}},
}
"""By URL: which columns of rows that were there before a form may alter, whatever it says. A URL that answers forms and
is not here fails."""


def forged() -> dict[str, Any]:
    """A value for every column of every model of ours, under its own name and that of its relation."""
    values: dict[str, Any] = {}
    for model in models.__dict__.values():
        if not (isinstance(model, type) and hasattr(model, "_meta")):
            continue
        for field in model._meta.concrete_fields:
            value = "1" if field.get_internal_type().endswith(("IntegerField", "AutoField", "ForeignKey")) else "forged"
            if field.get_internal_type() == "DateTimeField":
                value = TIME
            if field.get_internal_type() == "BooleanField":
                value = "on"
            values[field.name] = values[field.attname] = value
    stock = {
        "action": "delete_selected",
        "_selected_action": ["1", "2", "3"],
        "select_across": "1",
        "_save": "1",
        "_saveasnew": "1",
        "_continue": "1",
        "_popup": "1",
        "_to_field": "id",
        "post": "yes",
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": "1",
        "form-0-state": "applied",
    }
    return values | stock


def rows() -> dict[type[Any], dict[Any, dict[str, Any]]]:
    return {
        model: {row["id"]: row for row in model._base_manager.values()}
        for model in (*OURS, Change, Event, Comment, get_user_model())
    }


@pytest.fixture
def scene(tmp_path: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Scene:
    settings.MEDIA_ROOT = tmp_path / "media"
    monkeypatch.setattr(source_checks, "check_source", lambda source: [])
    return Scene(tmp_path / "media")


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(making.user("boss", "*"))
    return client


def test_every_form_is_in_the_table() -> None:
    assert {name for name, row in ROWS.items() if row.post is not None} == set(EDITED)


@pytest.mark.parametrize("name", sorted(EDITED))
def test_a_form_alters_the_columns_it_is_about_and_no_others(scene: Scene, boss: Client, name: str) -> None:
    row = ROWS[name]
    real = {key: scene.arguments.get(value, value) for key, value in row.data.items()}
    before = rows()
    answer = boss.post(reverse(f"admin:data_sync_{name}", args=scene.path(row.path)), forged() | real)
    assert answer.status_code < 500
    after = rows()
    for model, old in before.items():
        gone = old.keys() - after[model].keys()
        assert len(gone) == (name == "datasource_delete" and model is DataSource), (model, gone)
        for pk in old.keys() - gone:
            altered = {column for column, value in old[pk].items() if after[model][pk][column] != value}
            assert altered <= EDITED[name].get(model, set()), (model, altered)
        for pk in after[model].keys() - old.keys():
            assert "forged" not in [value for column, value in after[model][pk].items() if column not in real], model


@pytest.mark.parametrize("model", OURS)
def test_lists_have_no_actions_that_alter_anything_and_nothing_to_edit(scene: Scene, boss: Client, model: Any) -> None:
    before = rows()
    url = reverse(f"admin:data_sync_{model._meta.model_name}_changelist")
    page = boss.get(url).content.decode()
    boss.post(url, forged())
    assert rows() == before
    assert "delete_selected" not in page and "form-0-" not in page
    assert ('name="action"' in page) == bool(ACTIONS.get(model))
    its = admin.site.get_model_admin(model)
    assert not its.list_editable and not its.save_as and not its.inlines
    request: Any = type("Request", (), {"user": get_user_model().objects.get(username="boss"), "GET": {}})
    assert set(its.get_actions(request)) == ACTIONS.get(model, set())


@pytest.mark.parametrize("spelling", ["_{:x}", "+{}", "%20{}", "{}.0", "-0", "abc"])
@pytest.mark.parametrize("page", ["", "change/", "delete/", "history/", "add/../change/"])
@pytest.mark.parametrize("model", OURS)
def test_no_stock_form_is_reached_by_another_spelling_of_a_number(
    scene: Scene, boss: Client, model: Any, page: str, spelling: str
) -> None:
    number = model.objects.order_by("pk").first().pk
    quoted = spelling.format(ord(str(number)[0]) if "x" in spelling else number)
    before = rows()
    base = reverse(f"admin:data_sync_{model._meta.model_name}_changelist")
    for answer in (boss.get(f"{base}{quoted}/{page}"), boss.post(f"{base}{quoted}/{page}", forged())):
        assert answer.status_code in (404, 405), answer.status_code
    assert rows() == before


@pytest.mark.parametrize("field", ["source", "pull", "requested_by", "created_by", "user", "key", "secret_hash"])
@pytest.mark.parametrize("model", ["changeset", "event", "exportkey", "datasource", "datapull", "change"])
def test_autocomplete_gives_nothing_to_whoever_may_not_see_it(
    scene: Scene, client: Client, model: str, field: str
) -> None:
    client.force_login(making.user("ada", "view_changeset", "view_change", "view_event"))
    given = {"app_label": "data_sync", "model_name": model, "field_name": field, "term": "S"}
    assert client.get(reverse("admin:autocomplete"), given).status_code in (403, 404)


def test_neither_a_user_nor_a_source_takes_the_trail_along(scene: Scene, boss: Client) -> None:
    ada = making.user("ada", "view_changeset", "approve_changeset")
    source = DataSource.objects.get(name="Staging")
    stored = making.changeset(
        [making.create(1, decision="accepted")], requested_by=ada, actor="ada", source=source, source_name=source.name
    )
    pull = making.pull(source=source, requested_by=ada, actor="ada")
    change = stored.changes.get()
    review.decide(stored.pk, review.Selection(numbers=(1,)), review.Decision.ACCEPTED, of_user(ada), revision=0)
    remarks.comment(change, "Looks right.", of_user(ada))
    approval.approve(stored.pk, of_user(ada), revision=1)
    before = [event.hash for event in stored.events.all()]

    boss.post(reverse("admin:auth_user_delete", args=(ada.pk,)), {"post": "yes"})
    sources.remove_source(source, command_line())

    assert not get_user_model().objects.filter(username="ada").exists()
    assert [event.hash for event in stored.events.all()][: len(before)] == before and len(before) >= 3
    assert {event.actor for event in stored.events.all()} == {"ada"}
    stored.refresh_from_db()
    pull.refresh_from_db()
    assert (stored.actor, stored.approval_actor, stored.source_name, pull.actor) == ("ada", "ada", "Staging", "ada")
    assert Comment.objects.get().actor == "ada" and Change.objects.filter(changeset=stored).count() == 1

"""The ready-made groups: what they are given, and that separate people can do the main job with them alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from data_sync import registry
from data_sync.core.errors import NotPermitted
from data_sync.models import Changeset, DataPull, DataSource, ExportKey
from data_sync.services import actors, credentials, groups
from tests.admin import making
from tests.environments import Environments
from tests.management.conftest import Run, run
from tests.testapp.models import Tag

__all__ = ["run"]

pytestmark = pytest.mark.django_db(transaction=True)


def permissions(name: str) -> set[str]:
    rows = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


def member(short: str) -> Any:
    person = get_user_model().objects.create_user(short, password="secret", is_staff=True)
    person.groups.add(Group.objects.get(name=f"data_sync {short}"))
    return person


def test_the_groups_are_made_once_and_other_groups_are_left_alone(run: Run) -> None:
    other = Group.objects.create(name="editors")
    other.permissions.add(Permission.objects.get(codename="add_term"))
    planned = run("groups", "--dry-run", "--json")
    assert planned.document["dry_run"] and all(one["created"] for one in planned.document["groups"])
    assert list(Group.objects.values_list("name", flat=True)) == ["editors"]

    made = run("groups", "--json")

    assert made.code == 0 and made.document["groups"] == planned.document["groups"]
    assert set(Group.objects.values_list("name", flat=True)) == {"editors", *groups.GROUPS}
    for name in groups.GROUPS:
        assert permissions(name) == set(groups.wanted(name))
    assert permissions("editors") == {"testapp.add_term"}
    again = run("groups", "--json").document["groups"]
    assert not any(one["created"] or one["added"] or one["extra"] for one in again)
    assert "data_sync viewers: has all it needs." in run("groups").out


def test_what_somebody_has_added_stays_and_what_was_taken_comes_back(run: Run) -> None:
    run("groups")
    viewers = Group.objects.get(name="data_sync viewers")
    viewers.permissions.set(Permission.objects.filter(codename__in=["add_term", "view_changeset"]))
    ran = run("groups")
    assert permissions("data_sync viewers") == {*groups.wanted("data_sync viewers"), "testapp.add_term"}
    assert "data_sync viewers: got 2 permissions." in ran.out and "Besides, it has testapp.add_term." in ran.out


def test_whoever_may_not_give_permissions_cannot_do_it_this_way(run: Run) -> None:
    making.user("ada", "change_group", "view_changeset")
    ran = run("groups", "--as", "ada")
    assert ran.code == 1 and "auth.add_group" in ran.err
    with pytest.raises(NotPermitted, match=r"auth\.change_group"):
        groups.make_groups(actors.of_user(making.user("bob", "add_group")))
    assert not Group.objects.exists()


def test_only_appliers_get_the_models_own_permissions_and_no_group_approves_and_applies() -> None:
    for name in groups.GROUPS:
        wanted = set(groups.wanted(name))
        others = {one for one in wanted if not one.startswith("data_sync.")}
        named = {permission.partition(".")[2].partition("_")[2] for permission in others}
        models = {one.model._meta.model_name for one in registry.registrations() if not one.model._meta.auto_created}
        assert named == (models if name == groups.APPLIERS else set())
        assert not {"data_sync.approve_changeset", "data_sync.apply_changeset"} <= wanted


def test_separate_people_do_the_main_job_with_these_groups_alone(environments: Environments, settings: Any) -> None:
    settings.DATA_SYNC_FOUR_EYES = True
    groups.make_groups(actors.command_line())
    administrator, puller, reviewer, applier, viewer = (
        _at_the_admin(member(name)) for name in ("administrators", "pullers", "reviewers", "appliers", "viewers")
    )
    Tag.objects.using("source").create(name="new")
    url, key = environments.source.url, credentials.reveal(environments.source.key)
    environments.source.delete()

    administrator.post(reverse("admin:data_sync_datasource_add"), {"name": "Staging", "url": url, "key": key})
    source = DataSource.objects.get(name="Staging")
    puller.post(reverse("admin:data_sync_datasource_pull", args=(source.pk,)))
    assert DataPull.objects.latest("pk").state == "done", DataPull.objects.latest("pk").error
    stored = Changeset.objects.latest("pk")
    pages = {name: reverse(f"admin:data_sync_changeset_{name}", args=(stored.pk,)) for name in ("decide", "approve")}
    accept = {"number": "1", "decide": "accepted", "revision": "0"}
    approve, apply = ({"do": step, "revision": "1"} for step in ("approve", "apply"))
    for nobody in (administrator, puller, applier, viewer):
        assert nobody.post(pages["decide"], accept).status_code == 403
        assert nobody.post(pages["approve"], approve | {"revision": "0"}).status_code == 403
    reviewer.post(pages["decide"], accept)
    reviewer.post(pages["approve"], approve)
    for nobody in (administrator, puller, reviewer, viewer):
        assert nobody.post(pages["approve"], apply).status_code == 403
    applier.post(pages["approve"], apply)

    stored.refresh_from_db()
    assert (stored.state, stored.actor, stored.approval_actor, stored.apply_actor) == (
        "applied",
        "pullers",
        "reviewers",
        "appliers",
    ), stored.state_reason
    assert Tag.objects.get().name == "new"
    assert reviewer.post(reverse("admin:data_sync_changeset_export", args=(stored.pk,))).status_code == 200
    assert viewer.get(reverse("admin:data_sync_changeset_result", args=(stored.pk,))).status_code == 200
    administrator.post(reverse("admin:data_sync_exportkey_add"), {"name": "Production"})
    assert ExportKey.objects.get().created_by.username == "administrators"  # type: ignore[union-attr]


def _at_the_admin(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client

"""A source is trusted by somebody who may, with what was named, and no longer than the source stays what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from data_sync.core.errors import InvalidInput, InvalidTransition, NotPermitted
from data_sync.models import DataSource, Event, Trust
from data_sync.services import credentials, sources, trust
from data_sync.services.actors import Actor, command_line, of_user

pytestmark = pytest.mark.django_db
URL = "https://staging.example.com/api"
SHELL = command_line()
MODELS = ("testapp.term", "testapp.tag")
NEEDED = ("trust_datasource", "change_datasource", "approve_changeset", "apply_changeset")


@pytest.fixture
def source() -> DataSource:
    return sources.add_source("Staging", URL, "env:STAGING_KEY", SHELL)


def person(*permissions: str, name: str = "anna") -> Actor:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return of_user(User.objects.get(pk=user.pk))


def told(source: DataSource) -> list[tuple[str, str, Any, Any]]:
    """The events of a source's chain: what, who, and the models before and after."""
    events = Event.objects.filter(chain=f"source:{source.pk}", action__startswith="trust").order_by("number")
    sides = [(event, event.detail["before"], event.detail["after"]) for event in events]
    return [
        (event.action, event.actor, before and before["models"], after and after["models"])
        for event, before, after in sides
    ]


def test_a_source_is_not_trusted_by_default(source: DataSource) -> None:
    assert trust.standing(source) is None


def test_trust_has_explicit_models_and_leaves_deletes_and_renames_out(source: DataSource) -> None:
    actor = person(*NEEDED)
    made = trust.switch_on(source, actor, models=MODELS)
    limits = trust.limits_of(trust.standing(source))
    assert limits is not None
    assert limits.to_plain() == {
        "models": list(MODELS),
        "operations": ["create", "update"],
        "max_changes": 100,
        "max_deletes": 0,
        "unattended": False,
    }
    assert (made.user, made.actor, made.unrestricted) == (actor.user, "anna", False)
    assert told(source) == [("trusted", "anna", None, list(MODELS))]


def test_switching_on_again_sets_the_limits_anew_and_says_what_they_were(source: DataSource) -> None:
    trust.switch_on(source, person(*NEEDED), models=MODELS)
    trust.switch_on(source, SHELL, models=["testapp.tag"], operations=["delete"], max_deletes=3, unattended=True)
    standing = trust.standing(source)
    assert standing is not None and (standing.unattended, standing.max_deletes) == (True, 3)
    assert (standing.user, standing.unrestricted) == (None, True)
    assert told(source)[1] == ("trusted", "command line", list(MODELS), ["testapp.tag"])


@pytest.mark.parametrize("missing", NEEDED)
def test_whoever_switches_it_on_needs_every_permission(source: DataSource, missing: str) -> None:
    with pytest.raises(NotPermitted, match=missing):
        trust.switch_on(source, person(*(name for name in NEEDED if name != missing)), models=MODELS)
    assert not Trust.objects.exists() and told(source) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"models": []}, "there is no “all”"),
        ({"models": ["testapp.nothing"]}, "Not registered here: testapp.nothing"),
        ({"operations": []}, "Name the operations"),
        ({"operations": ["create", "drop"]}, "There is no operation drop"),
        ({"max_changes": 0}, "most changes must be 1 to"),
        ({"max_changes": 10**9}, "most changes must be 1 to"),
        ({"operations": ["delete"], "max_deletes": 0}, "most deletes must be 1 to"),
    ],
)
def test_limits_that_make_no_sense_are_refused(source: DataSource, given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        trust.switch_on(source, SHELL, **{"models": MODELS, **given})
    assert not Trust.objects.exists()


def test_trust_ends_with_a_reason_and_once(source: DataSource) -> None:
    trust.switch_on(source, SHELL, models=MODELS)
    trust.switch_off(source, SHELL, "The editors leave.")
    ended = Trust.objects.get()
    assert (ended.is_on, ended.ended_by, ended.end_reason) == (False, "command line", "The editors leave.")
    assert ended.ended_at is not None
    assert told(source)[1] == ("trust_ended", "command line", list(MODELS), None)
    with pytest.raises(InvalidTransition, match="not trusted"):
        trust.switch_off(source, SHELL)
    assert len(told(source)) == 2


def test_who_may_change_sources_or_trust_them_may_end_it_and_nobody_else(source: DataSource) -> None:
    for number, permission in enumerate(("trust_datasource", "change_datasource")):
        trust.switch_on(source, SHELL, models=MODELS)
        trust.switch_off(source, person(permission, name=f"person-{number}"))
    trust.switch_on(source, SHELL, models=MODELS)
    with pytest.raises(NotPermitted):
        trust.switch_off(source, person("pull_datasource", "apply_changeset", name="other"))
    assert trust.standing(source) is not None


@pytest.mark.parametrize(
    ("given", "ends"),
    [
        ({"url": "https://staging.example.com/other"}, "URL"),
        ({"url": "https://other.example.com/api", "key": "env:STAGING_KEY"}, "URL"),
        ({"key": "env:ANOTHER_KEY"}, "key"),
        ({"key": "ds_0123456789ab.another-key-another-key-another-key-another1"}, "key"),
        ({"name": "Stage"}, ""),
        ({"url": URL + "/", "key": "env:STAGING_KEY"}, ""),
    ],
)
def test_another_url_or_key_ends_trust(source: DataSource, given: dict[str, str], ends: str) -> None:
    trust.switch_on(source, SHELL, models=MODELS)
    sources.change_source(source, SHELL, **given)
    assert (trust.standing(source) is None) == bool(ends)
    assert told(source)[1:] == ([("trust_ended", "command line", list(MODELS), None)] if ends else [])
    assert Trust.objects.get().end_reason == (f"command line changed the source's {ends}." if ends else "")


@pytest.mark.parametrize("path", ["/", "/api/v2", "/API", "/api/data_sync"])
def test_another_path_on_the_same_host_keeps_the_key_and_ends_trust(source: DataSource, path: str) -> None:
    """The key goes where it went before; who trusted what is there did not trust what may be beside it."""
    key = "ds_0123456789ab.canarycanarycanarycanarycanarycanarycanary1"
    sources.change_source(source, SHELL, key=key)
    trust.switch_on(source, SHELL, models=MODELS, unattended=True)
    sources.change_source(source, SHELL, url=f"https://staging.example.com{path}")
    assert credentials.reveal(source.key) == key
    assert trust.standing(source) is None
    assert Trust.objects.get().end_reason == "command line changed the source's URL."


def test_the_same_key_stored_anew_counts_as_another(source: DataSource) -> None:
    """What is encrypted cannot be compared without opening it, and whoever types it knows whether to trust again."""
    key = "ds_0123456789ab.canarycanarycanarycanarycanarycanarycanary1"
    sources.change_source(source, SHELL, key=key)
    trust.switch_on(source, SHELL, models=MODELS)
    sources.change_source(source, SHELL, key=key)
    assert trust.standing(source) is None


def test_a_change_that_is_refused_ends_nothing(source: DataSource) -> None:
    sources.add_source("Taken", URL, "env:STAGING_KEY", SHELL)
    trust.switch_on(source, SHELL, models=MODELS)
    with pytest.raises(InvalidInput):
        sources.change_source(source, SHELL, name="Taken", url="https://staging.example.com/other")
    assert trust.standing(source) is not None and len(told(source)) == 1


def test_a_source_that_is_removed_takes_its_trust_along_and_leaves_the_events(source: DataSource) -> None:
    trust.switch_on(source, SHELL, models=MODELS)
    number = source.pk
    sources.remove_source(source, SHELL)
    assert not Trust.objects.exists()
    assert Event.objects.filter(chain=f"source:{number}", action="trust_ended").count() == 1


LOSSES: dict[str, Callable[[User], Any]] = {
    "is no user here any more": lambda user: user.delete(),
    "is not active any more": lambda user: User.objects.update(is_active=False),
    "lacks the permission data_sync.apply_changeset": lambda user: user.user_permissions.remove(
        Permission.objects.get(codename="apply_changeset")
    ),
    "lacks the permission data_sync.trust_datasource": lambda user: user.user_permissions.remove(
        Permission.objects.get(codename="trust_datasource")
    ),
}


@pytest.mark.parametrize("sentence", LOSSES)
def test_who_switched_it_on_has_to_be_able_to_answer_for_it(source: DataSource, sentence: str) -> None:
    actor = person(*NEEDED)
    assert trust.lacking(trust.switch_on(source, actor, models=MODELS)) == ""
    LOSSES[sentence](actor.user)
    standing = trust.standing(source)
    assert standing is not None and sentence in trust.lacking(standing)

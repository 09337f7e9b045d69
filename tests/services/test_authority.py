"""What an apply needs the permission for: the rows it writes, and the rows that go with them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from data_sync.core.errors import NotPermitted
from data_sync.core.states import RenameChoice
from data_sync.models import Change
from data_sync.services import actors
from data_sync.services.authority import require_authority
from tests.reviewing import decide, make

pytestmark = pytest.mark.django_db

COUNTRY, TAG = "testapp.{}_country", "testapp.{}_tag"


def somebody(*permissions: str) -> Any:
    user = get_user_model().objects.create(username="ada")
    for permission in ("data_sync.apply_changeset", *permissions):
        app_label, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app_label, codename=codename))
    return actors.of_user(user)


@pytest.mark.parametrize(
    ("operation", "choice", "needed"),
    [
        ("create", None, ["add"]),
        ("update", None, ["change"]),
        ("delete", None, ["delete"]),
        ("rename", RenameChoice.RENAME, ["change"]),
        ("rename", RenameChoice.REPLACE, ["add", "delete"]),
    ],
)
def test_each_operation_needs_its_permission_of_the_model(operation: str, choice: Any, needed: list[str]) -> None:
    changeset = make(operation)
    decide(changeset, "accepted", 1, options={"rename_choice": choice})
    every = {"add", "change", "delete", "view"}
    with_all = somebody(*(COUNTRY.format(action) for action in needed))
    require_authority(changeset, with_all)
    for action in needed:
        get_user_model().objects.all().delete()
        with pytest.raises(NotPermitted, match=COUNTRY.format(action)):
            require_authority(changeset, somebody(*(COUNTRY.format(other) for other in every - {action})))


@pytest.mark.parametrize(("choice", "counts"), [(RenameChoice.RENAME, False), (RenameChoice.REPLACE, True)])
def test_what_a_rename_takes_along_counts_only_if_it_replaces_its_row(choice: RenameChoice, counts: bool) -> None:
    changeset = make("rename")
    cascade = {"model": "testapp.tag", "pk": "1", "label": "Row", "effect": "delete", "column": "c"}
    decide(changeset, "accepted", 1, options={"rename_choice": choice})
    Change.objects.update(has_cascades=True, cascades=[cascade])
    actor = somebody(*(COUNTRY.format(action) for action in ("add", "change", "delete")))
    if not counts:
        require_authority(changeset, actor)
        return
    with pytest.raises(NotPermitted, match=TAG.format("delete")):
        require_authority(changeset, actor)


def test_links_are_part_of_the_row_that_declares_them() -> None:
    """Django makes no permissions for their table, so that nobody but superusers could have them."""
    changeset = make("create")
    decide(changeset, "accepted", 1)
    Change.objects.update(model="hard.album_songs")
    with pytest.raises(NotPermitted, match=r"hard\.change_album"):
        require_authority(changeset, somebody())
    get_user_model().objects.all().delete()
    require_authority(changeset, somebody("hard.change_album"))


@pytest.mark.parametrize(("effect", "needed"), [("create", "add"), ("set", "change")])
def test_what_a_revert_brings_back_along_counts_by_its_model(effect: str, needed: str) -> None:
    changeset = make("create")
    decide(changeset, "accepted", 1)
    along = {"pk": "1", "label": "", "effect": effect, "digest": ""}
    itself = along | {"model": "testapp.country", "column": "", "effect": "create"}
    link = along | {"model": "testapp.shelf_products", "column": "product"}
    Change.objects.update(restores=[itself, link, along | {"model": "testapp.tag", "column": "c"}])
    with pytest.raises(NotPermitted, match=TAG.format(needed)):
        require_authority(changeset, somebody(COUNTRY.format("add")))
    get_user_model().objects.all().delete()
    require_authority(changeset, somebody(COUNTRY.format("add"), TAG.format(needed)))

"""The admin's own History names the changeset, also of rows that `save()` writes and of rows that inherit."""

from __future__ import annotations

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.utils.translation import override

from data_sync.services import actors, apply
from data_sync.services.conflicts import _OUR_ENTRY
from tests.environments import Environments

from .models import Booth, Restaurant, SavedByModel


def test_every_written_row_has_an_entry_that_names_the_changeset(environments: Environments) -> None:
    user = get_user_model().objects.create_superuser("ada")
    environments.add(Restaurant, slug="r", stars=(3, 1), name="same")
    environments.add(SavedByModel, name="edited", title=("new", "old"))
    environments.add(Booth, code="b", name="new", only="source")
    changeset = environments.approved()
    apply.request_apply(changeset.pk, actors.of_user(user))
    with override("de"):
        assert apply.run_apply(changeset.pk).state == "applied"
    entries = {entry.content_type.model: entry for entry in LogEntry.objects.filter(user=user)}
    about = f"Changeset {changeset.pk} from Staging"
    told = {model: (entry.action_flag, entry.object_repr, entry.change_message) for model, entry in entries.items()}
    assert told == {
        "restaurant": (CHANGE, "r", f"{about}: stars"),
        "savedbymodel": (CHANGE, "edited", f"{about}: title"),
        "booth": (ADDITION, "new", about),
    }
    assert entries["restaurant"].get_edited_object() == Restaurant.objects.get()
    assert entries["booth"].object_id == str(Booth.objects.get().pk)
    assert all(_OUR_ENTRY.match(entry.change_message) for entry in entries.values())

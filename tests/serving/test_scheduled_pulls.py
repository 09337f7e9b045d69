"""`data_sync pull` as cron starts it: by exit codes alone a script knows what to do next."""

from __future__ import annotations

from data_sync.models import Changeset, DataPull
from tests import leasing
from tests.environments import Environments
from tests.serving.gates import Gate
from tests.serving.processes import command, commands
from tests.testapp.models import Tag

PULL = ("pull", "Staging", "--json")


def test_exit_codes_say_whether_there_is_something_to_review(environments: Environments) -> None:
    nothing = command(*PULL)
    assert (nothing.end(), nothing.document["changeset"], nothing.errors) == (0, None, "")

    environments.add(Tag, name="new", only="source")
    found = command(*PULL)
    assert (found.end(), found.errors) == (2, "")
    assert found.document == {
        "pull": found.document["pull"],
        "state": "done",
        "changeset": Changeset.objects.get().pk,
        "counts": {"create": 1, "update": 0, "delete": 0, "rename": 0},
        "compared": 1,
        "conflicts": 0,
    }

    type(environments.source).objects.update(url="http://127.0.0.1:1/api")
    failed = command(*PULL)
    assert (failed.end(), failed.document["state"]) == (1, "failed")
    assert failed.document["error"] in failed.errors, "cron mails what stands on standard error"


def test_a_killed_pull_holds_the_next_one_up_no_longer_than_its_lease(differing: Environments) -> None:
    with Gate("reading") as gate, commands(PULL) as (killed,):
        gate.reached()
        killed.kill()
    lost = DataPull.objects.get()

    held = command(*PULL)
    assert (held.end(), f"Pull {lost.pk} of Staging is reading" in held.errors) == (1, True)
    leasing.expire()
    assert command(*PULL).end() == 2
    lost.refresh_from_db()
    assert (lost.state, "Nobody was at it any more" in lost.error) == ("failed", True)
    assert Changeset.objects.get().creates == 20

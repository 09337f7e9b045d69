"""Bringing the target to what the source is, and saying what the review would say."""

from __future__ import annotations

from typing import Any

from django.db import connections, models, transaction

from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Change, Changeset
from data_sync.services import pull
from tests.environments import Environments

SIDES = ("source", "default")


def rows(model: type[models.Model], alias: str) -> models.QuerySet[Any]:
    """Every row of a model, whatever its managers hide."""
    return model._base_manager.using(alias)


def put(alias: str, *instances: models.Model) -> None:
    """Inserts rows that have primary keys, in this order, even if they refer to later ones."""
    connection = connections[alias]
    with transaction.atomic(using=alias), connection.constraint_checks_disabled():
        for instance in instances:
            instance.save(using=alias, force_insert=True)


def bring(environments: Environments, *labels: str) -> Changeset:
    """Pulls, accepts everything, approves and applies; then both sides are equal, and a new pull finds nothing."""
    changeset = applied(environments, pending(environments, *labels))
    environments.assert_equal()
    again = environments.pull(*labels)
    assert again.state == PullState.DONE, again.error
    found = Changeset.objects.filter(pull=again).first()
    assert found is None, described(found)
    return changeset


def pending(environments: Environments, *labels: str) -> Changeset:
    """Pulls; a guard that holds the changeset back is overridden."""
    with environments.untouched():
        return environments.let_through(environments.changeset(*labels))


def without_renames(environments: Environments) -> Changeset:
    """Pulls, and has a row whose key alone is new come as another one."""
    asked = pull.request_pull(environments.source, [], environments.actor, find_renames=False)
    with environments.untouched():
        return environments.let_through(Changeset.objects.get(pull=pull.run_pull(asked.pk)))


def applied(environments: Environments, changeset: Changeset) -> Changeset:
    assert not problems(changeset), problems(changeset)
    environments.accept_all(changeset)
    done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.APPLIED, (done.state_reason, described(done))
    return done


def described(changeset: Changeset) -> list[tuple[str, str, str, str]]:
    """What is in a changeset: operation, model, key, and why it failed if it did."""
    changes = Change.objects.filter(changeset=changeset).order_by("number")
    return [(change.operation, change.model, change.key_text, change.outcome_reason) for change in changes]


def operations(changeset: Changeset) -> dict[tuple[str, str], str]:
    """Operation by label and readable key."""
    return {(change.model, change.key_text): change.operation for change in changeset.changes.all()}


def problems(changeset: Changeset) -> dict[tuple[str, str], list[str]]:
    """Codes of what forbids changes, by label and readable key; of a change without any, nothing."""
    return {
        (change.model, change.key_text): [problem["code"] for problem in change.problems]
        for change in changeset.changes.order_by("number")
        if change.problems
    }


def words(changeset: Changeset, code: str) -> str:
    """What the review says about problems of one kind, all together."""
    return " ".join(
        problem["message"]
        for change in changeset.changes.all()
        for problem in change.problems
        if problem["code"] == code
    )

"""A source is altered by one at a time, and never while somebody writes what was pulled from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from data_sync.core.errors import Busy
from data_sync.core.states import ChangesetState
from data_sync.models import Baseline, DataSource, Trust
from data_sync.services import apply, sources, trust
from data_sync.services.actors import command_line
from tests import leasing
from tests.environments import Environments
from tests.testapp.models import Tag

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "source"])
SHELL = command_line()


def remove(source: DataSource) -> None:
    sources.remove_source(source, SHELL)


def move(source: DataSource) -> None:
    sources.change_source(source, SHELL, url="http://127.0.0.1:1/new", key="env:DATA_SYNC_KEY_N")


@pytest.mark.parametrize("alter", [remove, move])
def test_nobody_who_holds_a_source_waits_for_an_apply(
    environments: Environments, alter: Callable[[DataSource], None]
) -> None:
    """Which adds to its baselines, and would wait for the source."""
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("this database cannot skip what is locked")
    environments.add(Tag, name="x", only="source")
    environments.changeset("testapp.tag")
    with leasing.held_open(), pytest.raises(Busy, match="try again in a minute"):
        alter(environments.source)
    alter(environments.source)


def test_trust_ends_at_once_although_an_apply_is_running(environments: Environments) -> None:
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("this database cannot skip what is locked")
    trust.switch_on(environments.source, SHELL, models=["testapp.tag"], unattended=True)
    environments.add(Tag, name="x", only="source")
    environments.changeset("testapp.tag")
    with leasing.held_open():
        trust.switch_off(environments.source, SHELL)
    assert not Trust.objects.get().is_on


def test_what_was_pulled_from_a_source_that_is_gone_by_now_is_applied(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it goes once the worker has read the changeset; nothing is agreed on with it any more."""
    environments.add(Tag, name="x", only="source")
    changeset = environments.approved("testapp.tag")
    promote = apply.promote_files

    def promote_and_remove(*given: Any) -> Any:
        remove(environments.source)
        return promote(*given)

    monkeypatch.setattr(apply, "promote_files", promote_and_remove)
    changeset = environments.apply(changeset)
    assert changeset.state == ChangesetState.APPLIED, changeset.state_reason
    assert (changeset.source, Baseline.objects.count()) == (None, 0)

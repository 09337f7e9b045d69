"""What is exported and stored verifies as long as nobody has altered it, and wherever somebody has, it is named."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from data_sync.core.errors import InvalidInput, NotPermitted
from data_sync.core.seal import event_hash
from data_sync.models import ChainMark, Change, Changeset, Event
from data_sync.services import actors, approval, audit, ledger, limits, remarks, sources, verify
from data_sync.services.document import changeset_document
from tests.environments import Environments
from tests.testapp.models import Article, Category, Copy, Country, Language, Product, Tag

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = actors.command_line()
KEYS = ["first key of thirty-two bytes or more", "second key of thirty-two bytes or more"]


def mixed(environments: Environments) -> Changeset:
    """Creates, an update, deletes and a rename; a file, a reference, a link."""
    add, put = environments.add, environments.put
    french = add(Language, country=add(Country, code="FR"), code="fr")
    put("green.png", b"green", only="source")
    red = put("red.png", b"red")
    add(Copy, language=french, key="title", value=("É\u2028", "E"), default="", thumbnail=("green.png", red))
    add(Copy, language=french, key="gone", value="", default="", thumbnail=red, only="default")
    lamp = add(Product, sku="lamp", name=("Lamp, improved", "Lamp"), category=add(Category, slug="light"))
    lamp[0].tags.add(add(Tag, name="new", only="source")[0])
    add(Article, slug=("new-name", "old-name"), title="The same")
    return environments.changeset()


def exported(changeset: Changeset) -> bytes:
    return "".join(changeset_document(changeset, ACTOR)).encode()


def verdict(content: bytes) -> verify.Verdict:
    return verify.verify_file(io.BytesIO(content), ACTOR)


def where(found: Any) -> list[str]:
    return [fault.where for fault in found.faults]


def test_it_matches_from_pull_to_apply(environments: Environments, settings: Any) -> None:
    settings.DATA_SYNC_AUDIT_KEYS = KEYS
    changeset = mixed(environments)

    def check(state: str) -> None:
        found = verdict(exported(changeset))
        assert where(found) == []
        assert (found.number, found.state, found.changes) == (changeset.pk, state, changeset.changes.count())
        assert found.key is not None and found.keyed == found.events == changeset.events.count()
        everything = verify.verify_all(ACTOR)
        assert (where(everything), everything.unchecked) == ([], [])
        assert where(verify.verify_changeset(changeset, ACTOR)) == []

    check("pending")
    environments.accept_all(changeset)
    remarks.comment(changeset.changes.first(), "Why?\nÉ", ACTOR)
    environments.approve(changeset)
    check("approved")
    approval.withdraw(changeset.pk, ACTOR)
    check("pending")
    environments.apply(environments.approve(changeset))
    check("applied")

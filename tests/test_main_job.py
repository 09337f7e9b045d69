"""Pull, review, apply: the target becomes what the source is, and only when a person has said so."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.db import connections

from data_sync.core.states import ChangesetState, Operation, Outcome, PullState
from data_sync.models import Change, Changeset, Event, PromotedFile
from data_sync.services import actors, apply
from tests.environments import Environments
from tests.testapp.models import (
    Category,
    Comment,
    Copy,
    Country,
    Currency,
    Detail,
    Document,
    Folder,
    Language,
    Page,
    Player,
    Price,
    Product,
    Tag,
    Team,
    Term,
)
from tests.testapp.pictures import picture


@pytest.fixture
def world(environments: Environments) -> Environments:
    """Two environments that have drifted apart: rows of each kind added, changed and removed at the source."""
    add, put = environments.add, environments.put
    add(Country, code="XX", only="default").__class__  # Keeps primary keys apart.
    Country.objects.get(code="XX").delete()

    france, japan = add(Country, code="FR"), add(Country, code="JP")
    italy = add(Country, code="IT", only="source")
    french, japanese = add(Language, country=france, code="fr"), add(Language, country=japan, code="ja")
    add(Language, country=italy, code="it", only="source")
    red, blue = put("red.png", picture("red")), put("blue.png", picture("blue"))
    put("green.png", picture("green"), only="source")
    add(Copy, language=french, key="title", value=("Bonjour à tous", "Bonjour"), default="", thumbnail=red)
    add(Copy, language=french, key="same", value="Même", default=("there", "here"), thumbnail=blue)
    add(Copy, language=japanese, key="title", value="見出し", default="", thumbnail=("green.png", red))
    add(Copy, language=japanese, key="new", value="新しい", default="", thumbnail="green.png", only="source")
    add(Copy, language=japanese, key="gone", value="古い", default="", thumbnail=blue, only="default")

    root = add(Category, slug="root")
    old = add(Category, slug="old", parent=root, only="default")
    new = add(Category, slug="new", parent=root, only="source")
    add(Category, slug="newer", parent=new, only="source")
    moved = add(Category, slug="moved", parent=(new[0], old[1]))
    add(Category, slug="oldest", parent=old, only="default")
    top = add(Folder, path="/", parent_id=0) if False else None
    assert top is None

    small, large = add(Tag, name="small"), add(Tag, name="large")
    fresh = add(Tag, name="fresh", only="source")
    stale = add(Tag, name="stale", only="default")
    lamp = add(Product, sku="lamp", name=("Lamp, improved", "Lamp"), category=moved)
    chair = add(Product, sku="chair", name="Chair", category=(None, old[1]))
    table = add(Product, sku="table", name="Table", category=new, only="source")
    sofa = add(Product, sku="sofa", name="Sofa", only="default")
    lamp[0].tags.set([small[0], fresh[0]])
    lamp[1].tags.set([small[1], large[1], stale[1]])
    chair[0].related.set([lamp[0], table[0]])
    chair[1].related.set([sofa[1]])
    table[0].related.set([table[0]])
    add(Detail, product=lamp, text="A lamp")
    add(Detail, product=table, text="A table", only="source")
    euro, yen = add(Currency, number=978, code="EUR"), add(Currency, number=392, code="JPY", only="source")
    add(Price, product=lamp, currency=euro, amount=(Decimal("19.90"), Decimal("19.95")))
    add(Price, product=table, currency=yen, amount=Decimal("12000"), only="source")

    reds = add(Team, name="reds", only="source")
    captain = add(Player, team=reds, number=10, only="source")
    Team.objects.using("source").filter(pk=reds[0].pk).update(captain=captain[0])
    add(Document, name="terms", title="Terms", attachment=put("documents/terms.txt", b"v2", only="source"), only="source")
    add(Page, slug="hidden", title=("there", "here"), published=False)
    add(Page, slug="left", published=(False, True))
    add(Page, slug="shown", title=("new", "old"))
    add(Term, word="ours", only="default")
    add(Term, word="theirs", meaning="new", only="source")
    add(Comment, product=sofa, text="Lovely sofa", only="default")
    return environments

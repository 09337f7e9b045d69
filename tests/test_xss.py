"""What a source or a user wrote is text on every page: no element, attribute, handler or link is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client

from tests.admin import making
from tests.payloads import HARMLESS, PAYLOADS, TEXTS, scene

pytestmark = [pytest.mark.django_db, pytest.mark.no_database]

LINKS = {"href", "src", "action", "formaction", "srcset", "poster", "data", "background", "cite", "xlink:href"}
VOID = {"br", "hr", "img", "input", "link", "meta", "wbr", "col"}


@dataclass
class Shape(HTMLParser):
    """What there is on a page besides its words: elements with the names of their attributes, and where links lead."""

    elements: set[tuple[str, frozenset[str]]] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    scripts: list[str] = field(default_factory=list)
    unbalanced: int = 0

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, frozenset(name for name, _ in attributes)))
        self.links |= {value or "" for name, value in attributes if name in LINKS}
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        # A page of ours closes what it opens; what a text closes comes too early.
        if self._open and self._open[-1] == tag:
            self._open.pop()
        elif tag in self._open:
            while self._open.pop() != tag:
                self.unbalanced += 1
        elif tag not in VOID:
            self.unbalanced += 1

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style"):
            self.scripts.append(data)


def shapes(client: Client, text: str) -> dict[str, Shape]:
    """The shapes of all pages that show the text, as a person of that name sees them."""
    found = {}
    with transaction.atomic():
        person = making.user(text[:150], "*")
        client.force_login(person)
        for name, url in scene(text, person).items():
            answer = client.get(url)
            assert answer.status_code == 200, name
            found[name] = Shape()
            found[name].feed(answer.content.decode())
            found[name].close()
        transaction.set_rollback(True)
    return found


@pytest.fixture(scope="module")
def clean(django_db_setup: None, django_db_blocker: Any) -> dict[str, Shape]:
    """What the pages are made of, whatever harmless words they show."""
    with django_db_blocker.unblock():
        known: dict[str, Shape] = {}
        for text in HARMLESS:
            for name, shape in shapes(Client(), text).items():
                so_far = known.setdefault(name, shape)
                so_far.elements |= shape.elements
                so_far.unbalanced = max(so_far.unbalanced, shape.unbalanced)
        return known


@pytest.mark.parametrize("payload", TEXTS, ids=range(len(TEXTS)))
def test_a_text_stays_a_text_on_every_page(client: Client, clean: dict[str, Shape], payload: str) -> None:
    for name, shape in shapes(client, payload).items():
        assert shape.elements <= clean[name].elements, (name, shape.elements - clean[name].elements)
        assert not [attribute for _, attributes in shape.elements for attribute in attributes if attribute[:2] == "on"]
        elsewhere = [link for link in shape.links if not link.startswith(("/", "?", "#")) or link.startswith("//")]
        assert set(elsewhere) <= {""}, (name, elsewhere)
        assert not "".join(shape.scripts).strip(), name
        assert shape.unbalanced <= clean[name].unbalanced, name
    assert not get_user_model().objects.exists()


def test_the_words_are_there_for_the_reader(client: Client) -> None:
    """A test of pages that show nothing would prove nothing."""
    payload = "<script>alert(1)</script>"
    assert len(PAYLOADS) >= 40
    person = making.user("mira", "*")
    client.force_login(person)
    for name, url in scene(payload, person).items():
        if name != "reject":  # Whose page names only the number.
            assert "&lt;script&gt;" in client.get(url).content.decode(), name

"""What is shipped in other languages is complete, compiled, and fits what the sources say."""

from __future__ import annotations

import io
import re

import pytest
from babel.messages.catalog import Message
from babel.messages.mofile import write_mo
from django.utils import translation
from django.utils.translation import gettext, ngettext

from tests import catalogues

no_database = pytest.mark.no_database
every_language = pytest.mark.parametrize("language", catalogues.LANGUAGES)

PLACE = re.compile(r"%\(\w+\)[sd]|{\w+}|</?\w+>")


def texts(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, list | tuple) else [message.string]


@no_database
@every_language
def test_every_message_of_the_sources_is_translated_and_no_other(language: str) -> None:
    wanted = {(message.id, message.context) for message in catalogues.template() if message.id}
    there = {(message.id, message.context): message for message in catalogues.read(language) if message.id}

    assert there.keys() == wanted, "bring them up to date: python3 -m tests.catalogues"
    assert [id for id, message in there.items() if not catalogues.is_translated(message)] == []


@no_database
@every_language
def test_placeholders_and_tags_are_those_of_the_message(language: str) -> None:
    for message in catalogues.read(language):
        if not message.id:
            continue
        singular, plural = message.id if isinstance(message.id, tuple) else (message.id, message.id)
        wanted = sorted(PLACE.findall(plural))
        for text in texts(message):
            # A form for one thing alone may say so in words.
            assert sorted(PLACE.findall(text)) in (wanted, sorted(PLACE.findall(singular))), message.id
            assert text.strip() == text or singular.strip() != singular, message.id


@no_database
@every_language
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogues.read(language))

    is_same = catalogues.path(language, "mo").read_bytes() == compiled.getvalue()
    assert is_same, "compile them: python3 -m tests.catalogues"


@no_database
@every_language
def test_django_finds_them_with_their_plurals(language: str) -> None:
    with translation.override(language):
        assert gettext("Changed since the pull") != "Changed since the pull"
        one, two = (ngettext("%(n)s change", "%(n)s changes", n) % {"n": n} for n in (1, 2))
    assert one.startswith("1 ") and two.startswith("2 ")
    assert (one[2:] == two[2:]) == (language == "id")

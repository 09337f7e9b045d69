"""`python3 -m tests.catalogues`: bring the message catalogues up to date with the sources, and compile them.

Needs no gettext tools: Django turns templates into what Babel can read. What is not translated yet, or no longer
quite, is listed, and makes the command fail.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import django
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "data_sync"
BEGUN = datetime(2026, 11, 28, tzinfo=UTC)
LANGUAGES = ("de", "fr", "id")
KEYWORDS = DEFAULT_KEYWORDS | {
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
}


def path(language: str, suffix: str) -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / f"django.{suffix}"


def template() -> Catalog:
    """Every message of the package, with where it is."""
    catalog = Catalog(project="data_sync", charset="utf-8")
    for file in sorted([*PACKAGE.rglob("*.py"), *(PACKAGE / "templates").rglob("*.html")]):
        for line, message, comments, context in _messages(file):
            # Without line numbers, an edit elsewhere in the file alters no catalogue.
            place = [(file.relative_to(ROOT).as_posix(), None)]
            catalog.add(message, locations=place, auto_comments=comments, context=context)
            assert line
    return catalog


def _messages(file: Path) -> Iterator[tuple]:
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".html":
        from django.utils.translation.template import templatize

        # Calls of gettext amid letters that stand for the rest; indentation has no meaning.
        source = "\n".join(line.strip() for line in templatize(source).splitlines())
    yield from extract("python", io.BytesIO(source.encode()), KEYWORDS, comment_tags=["Translators:"])


def read(language: str) -> Catalog:
    with path(language, "po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def _of_django(language: str) -> dict[object, Message]:
    """What Django and its admin have in a language."""
    found: dict[object, Message] = {}
    for folder in ("conf", "contrib/admin"):
        with (Path(django.__file__).parent / folder / "locale" / language / "LC_MESSAGES" / "django.mo").open(
            "rb"
        ) as mo:
            found |= {_key(message): message for message in read_mo(mo) if not message.context}
    return found


def _key(message: Message) -> object:
    return tuple(message.id) if isinstance(message.id, list) else message.id


def _empty(language: str) -> Catalog:
    catalog = Catalog(
        locale=language,
        header_comment="# Messages of data_sync. Brought up to date by: python3 -m tests.catalogues",
        project="data_sync",
        version="1",
        msgid_bugs_address="-",
        last_translator="-",
        language_team="-",
        charset="utf-8",
        fuzzy=False,
        creation_date=BEGUN,
        revision_date=BEGUN,
    )
    if language == "id":  # Babel does not know that it has no plural.
        catalog._num_plurals, catalog._plural_expr = 1, "0"
    return catalog


def is_translated(message: Message) -> bool:
    texts = message.string if isinstance(message.string, list | tuple) else [message.string]
    return all(texts) and not message.fuzzy


def update(language: str) -> list[str]:
    """Takes over what the sources say now; returns what has still to be translated."""
    po = path(language, "po")
    po.parent.mkdir(parents=True, exist_ok=True)
    catalog = read(language) if po.exists() else _empty(language)
    catalog.update(template(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    for message in catalog:
        # Messages that Django has too are said in its words: whose catalogue wins is a matter of INSTALLED_APPS.
        if message.id and (theirs := _of_django(language).get(_key(message))) and not message.context:
            message.string = theirs.string
    with po.open("wb") as file:
        write_po(file, catalog, width=110, sort_output=True, ignore_obsolete=True)
    with path(language, "mo").open("wb") as file:
        write_mo(file, read(language))
    return [str(message.id) for message in catalog if message.id and not is_translated(message)]


def main() -> int:
    missing = {language: update(language) for language in LANGUAGES}
    for language, messages in missing.items():
        print(f"{language}: {len(messages)} to translate", *(f"  {message}" for message in messages), sep="\n")
    return 1 if any(missing.values()) else 0


if __name__ == "__main__":
    from django.conf import settings

    settings.configure()
    django.setup()
    sys.exit(main())

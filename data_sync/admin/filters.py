"""What a review page shows: its filters, as its URL has them, and which stretch of the changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy

from data_sync.core.states import Decision, Operation
from data_sync.services.review import Selection

FLAGS = {
    "conflicts": gettext_lazy("Conflicts"),
    "cascades": gettext_lazy("Takes rows along"),
    "problems": gettext_lazy("Cannot be applied"),
    "warnings": gettext_lazy("Warnings of the model"),
    "unknown_base": gettext_lazy("Unknown base"),
    "left_scope": gettext_lazy("Left scope at the source"),
    "files": gettext_lazy("With files"),
    "kept": gettext_lazy("Keeps fields as they are here"),
    "edited": gettext_lazy("Edited after the pull, and seen"),
}


class UnclearForm(ValueError):
    """A form names a filter or a change that there is not, or does not say what it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """`number` shows one change alone, `viewed` "0" those that the person has not ticked off.

    Words that mean nothing are left out, so any URL shows something. In a URL, `conflict=1` is `flag=conflicts`.
    """

    model: str = ""
    op: str = ""
    decision: str = ""
    flag: str = ""
    q: str = ""
    viewed: str = ""
    number: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """From the query of a URL, or from a form that carries the same names."""
        number = query.get("number", "")
        return cls(
            model=query.get("model", "").replace("\x00", ""),
            op=_one_of(query.get("op", ""), [operation.value for operation in Operation]),
            decision=_one_of(query.get("decision", ""), [decision.value for decision in Decision]),
            flag="conflicts" if query.get("conflict") == "1" else _one_of(query.get("flag", ""), FLAGS),
            q=query.get("q", "").replace("\x00", "").strip(),
            viewed=_one_of(query.get("viewed", ""), ["0"]),
            number=int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None,
        )

    @classmethod
    def posted(cls, form: Mapping[str, str]) -> Self:
        """From a form that decides: nothing is left out. Raises `UnclearForm` for a word that means nothing."""
        found = cls.of(form)
        if not found.are_all_of(form):
            raise UnclearForm
        return found

    def are_all_of(self, query: Mapping[str, str]) -> bool:
        """Whether every filter that a query asks for is among these: a word that means nothing is not."""
        asked = {field.name: query.get(field.name, "").strip() for field in fields(self)}
        return all(not words or str(getattr(self, name)) == words for name, words in asked.items())

    @property
    def is_active(self) -> bool:
        return self != type(self)()

    def selection(self, user_pk: Any) -> Selection:
        """For the person at the screen."""
        return Selection(
            numbers=None if self.number is None else (self.number,),
            model=self.model,
            operation=self.op,
            decision=self.decision,
            search=self.q,
            flag=self.flag,
            unviewed_by=user_pk if self.viewed else None,
        )

    def but(self, **others: Any) -> Self:
        return replace(self, **others)

    def parameters(self) -> dict[str, str]:
        """The filters that are set, by their names in the URL."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: str(value) for name, value in values.items() if value not in ("", None)}

    def query(self, **more: str) -> str:
        """The URL's query, with its question mark; "?" alone where there is nothing to say."""
        return "?" + urlencode(self.parameters() | {name: value for name, value in more.items() if value})


def flag_choices() -> list[tuple[str, str]]:
    """What one may look for, by its name in the URL."""
    return [(name, str(words)) for name, words in FLAGS.items()]


def _one_of(word: str, words: Collection[str]) -> str:
    return word if word in words else ""

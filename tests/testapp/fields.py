"""Model fields such as projects write themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models


@dataclass(frozen=True)
class Colour:
    red: int
    green: int
    blue: int

    @classmethod
    def parse(cls, text: str) -> Colour:
        if len(text) != 7 or text[0] != "#":
            raise ValidationError(f"{text!r} is no colour")
        return cls(*bytes.fromhex(text[1:]))

    def __str__(self) -> str:
        return f"#{bytes((self.red, self.green, self.blue)).hex()}"


class ColourField(models.CharField):
    """A `Colour` in Python, `#rrggbb` in the database."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Colour | None:
        return None if value is None else Colour.parse(value)

    def to_python(self, value: Any) -> Colour | None:
        return value if value is None or isinstance(value, Colour) else Colour.parse(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(value)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj))


class ListField(models.TextField):
    """A list of texts, stored as lines; its serialised form is JSON."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> list[str] | None:
        return None if value is None else value.split("\n") if value else []

    def to_python(self, value: Any) -> list[str]:
        return json.loads(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else "\n".join(value)

    def value_to_string(self, obj: models.Model) -> str:
        return json.dumps(self.value_from_object(obj))

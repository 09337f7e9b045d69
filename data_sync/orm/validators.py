"""What a model's own validators say of the values that a change brings: shown to reviewers, never in the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError

from data_sync.core.equality import same
from data_sync.core.records import Record

from .limits import Problem, problem
from .schema import ModelSchema, Value


def warnings(schema: ModelSchema, before: Record | None, after: Record) -> list[Problem]:
    """What field validators and choices object to, value by value; only values that differ are looked at.

    Never raises, although validators are the project's own code. `Model.clean()` is not asked: it may look at
    rows that are not there yet.
    """
    found: list[Problem] = []
    for value in schema.values:
        plain = after.fields.get(value.name)
        if plain is None or (before is not None and same(before.fields.get(value.name), plain)):
            continue
        try:
            objections = list(_of_value(value, plain))
        except Exception as error:
            objections = [_refused(value, f"a validator failed with {type(error).__name__}: {error}")]
        found += map(_without_words, objections[:1]) if value.name in schema.redacted else objections
    return found


def _without_words(objection: Problem) -> Problem:
    """The same of a redacted field: what validators say may quote its value, or tell what it looks like."""
    words = "the model's validators or choices here object to its value, which is redacted."
    return problem(objection["code"], objection["field"], f"{objection['field']}: {words}")


def _of_value(value: Value, plain: Any) -> Iterator[Problem]:
    try:
        python = value.codec.from_plain(plain)
    except ValueError:
        return  # A problem by itself, which `limits` names.
    if hasattr(python, "resolve_expression"):
        return  # The JSON value null.
    field = value.field
    if field.choices is not None and not any(python == choice for choice, _ in field.flatchoices):
        yield problem("choices", value.name, f"{value.name} is {python!r}, which is none of its choices here.")
    try:
        field.run_validators(python)
    except ValidationError as error:
        for message in error.messages:
            yield _refused(value, str(message))


def _refused(value: Value, why: str) -> Problem:
    return problem("validator", value.name, f"{value.name}: {why[:300]}")

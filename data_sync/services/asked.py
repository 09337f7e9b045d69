"""What other environments ask for, read from a query or a body.

`callers.authenticate` says which labels may be asked for. Whatever is wrong with what is asked raises `InvalidInput`: a
model that is not registered `UnknownModel`; one that is not among the labels raises `NotPermitted`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_sync.core import canonical
from data_sync.core.errors import InvalidInput, MalformedStream, NotPermitted, RegistrationError
from data_sync.core.source import MAX_HANDLES, Handle, Request
from data_sync.orm.resolution import schemas


class UnknownModel(InvalidInput):
    """A model was asked for that is not registered here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SomeRecords:
    """The records behind handles of the request's one model."""

    request: Request
    handles: Sequence[Handle]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysOutside:
    """Which of these keys, canonical texts, rows have that are not in scope."""

    label: str
    key_texts: Sequence[str]


def scope(models: str | None, labels: Collection[str]) -> list[str]:
    """The labels to read: those in `models` (comma-separated), in that order; None: all of `labels`."""
    if models is None:
        return [label for label in schemas() if label in labels]
    wanted = models.split(",")
    for label in wanted:
        if not label:
            raise InvalidInput("models is a comma-separated list such as app.country,app.copy; leave it out for all.")
        _check_model(label, labels)
    if len(set(wanted)) != len(wanted):
        raise InvalidInput("A model is named twice in models.")
    return wanted


def request(models: str | None, omit: str | None, labels: Collection[str]) -> Request:
    """The models of `scope`, less the fields in `omit` (comma-separated, such as app.country.name)."""
    wanted = scope(models, labels)
    omitted: dict[str, list[str]] = {}
    for dotted in [] if omit is None else omit.split(","):
        label, _, name = dotted.rpartition(".")
        if label not in wanted:
            raise InvalidInput(
                "omit is a comma-separated list of fields of the models asked for, such as app.country.name; "
                f"{dotted[:200]!r} is none."
            )
        omitted.setdefault(label, []).append(name)
    return _less(wanted, omitted)


def some_records(body: bytes, labels: Collection[str]) -> SomeRecords | KeysOutside:
    """What the body of a request for records asks for."""
    try:
        asked = canonical.loads(body.decode())
    except UnicodeDecodeError:
        raise InvalidInput("The body is not JSON: it is not UTF-8.") from None
    except MalformedStream as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from None
    match asked:
        case {"model": str(label), "handles": list(handles), **more} if more.keys() <= {"omit"}:
            _check_model(label, labels)
            _check_number(handles)
            if not all(type(handle) in (int, str) for handle in handles):
                raise InvalidInput("handles is a list of what the listing of digests gave: integers or texts.")
            names = more.get("omit", [])
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise InvalidInput("omit is a list of names of fields.")
            return SomeRecords(request=_less([label], {label: names}), handles=handles)
        case {"model": str(label), "outside": list(keys), **more} if not more:
            _check_model(label, labels)
            _check_number(keys)
            if not all(isinstance(key, list) for key in keys):
                raise InvalidInput("outside is a list of natural keys, each a list of its parts.")
            return KeysOutside(label=label, key_texts=list(map(canonical.dumps, keys)))
        case _:
            raise InvalidInput(
                'The body is an object such as {"handles":[1,2],"model":"app.country"}, perhaps with "omit", '
                'or {"model":"app.country","outside":[["FR"]]}.'
            )


def _check_model(label: str, labels: Collection[str]) -> None:
    if label not in schemas():
        raise UnknownModel(f"The model {label[:200]!r} is not registered with data_sync at the source.")
    if label not in labels:
        raise NotPermitted(f"This export key or account may not read {label}.")


def _check_number(members: list[Any]) -> None:
    if len(members) > MAX_HANDLES:
        raise InvalidInput(f"At most {MAX_HANDLES} rows can be asked for at a time, and these are {len(members)}.")


def _less(models: Sequence[str], omitted: Mapping[str, Sequence[str]]) -> Request:
    known = schemas()
    for label, names in omitted.items():
        schema = known[label]
        there = {*schema.field_names, *(file.name for file in schema.files)}
        unknown = [name for name in names if name not in there]
        if unknown:
            raise InvalidInput(f"{label} has no synced field {unknown[0][:200]!r} that could be left out.")
        try:
            schema.without(names)
        except RegistrationError as error:
            raise InvalidInput(str(error)) from None
    return Request(models=tuple(models), omitted=omitted)

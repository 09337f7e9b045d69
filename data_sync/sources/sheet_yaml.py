"""Sheets in YAML, of which the part that is JSON is read: no tags, no aliases, and plain words are texts.

Built from libyaml's events, one row at a time. PyYAML's own loaders follow YAML 1.1, where the code of Norway (`NO`) is
false and `12:30` is 750, take the last of two members of one name, and let aliases multiply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import IO, Any

from data_sync.core.errors import MalformedSheet

from .sheet_rows import MAX_WHOLE, Row
from .sheet_texts import _NO_LIST, same_members

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})?\.?[0-9]{1,400}(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
_DEPTH = 100
_NODES = 500_000
"""Of one row."""


def yaml_rows(file: IO[bytes]) -> Iterator[Row]:
    """Rows of a YAML list of mappings, all with the same members."""
    return same_members(_items(file))


def _items(file: IO[bytes]) -> Iterator[Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    file.seek(0, 2)
    if file.tell() > MAX_WHOLE:
        raise MalformedSheet(f"It has more than {MAX_WHOLE >> 20} MiB, the most of this format. Use CSV, or split it.")
    file.seek(0)
    stack: list[_Container] = []
    documents = 0
    try:
        for event in yaml.parse(file, Loader=loader):
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise MalformedSheet("It holds several documents. Keep one.")
                case yaml.AliasEvent():
                    raise MalformedSheet(f"{_line(event)} uses an alias (*). Write what it stands for.")
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    _refuse_tag(event)
                    if len(stack) == _DEPTH:
                        raise MalformedSheet(f"{_line(event)} is nested more than {_DEPTH} deep.")
                    is_list = isinstance(event, yaml.SequenceStartEvent)
                    if not stack and not is_list:
                        raise MalformedSheet(_NO_LIST)
                    stack.append(_Container(is_list))
                case yaml.ScalarEvent():
                    _refuse_tag(event)
                    if not stack:
                        raise MalformedSheet(_NO_LIST)
                    is_key = stack[-1].wants_key and len(stack) > 1
                    value = event.value if is_key or not event.implicit[0] else _plain(event.value)
                    yield from _add(stack, value, event)
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    done = stack.pop()
                    if stack:
                        yield from _add(stack, done.value, event)
    except yaml.YAMLError as error:
        raise MalformedSheet(f"It is no YAML: {' '.join(str(error).split())[:300]}. Correct it.") from None


class _Container:
    __slots__ = ("is_list", "key", "nodes", "value")

    def __init__(self, is_list: bool) -> None:
        self.is_list = is_list
        self.value: Any = [] if is_list else {}
        self.key: str | None = None
        self.nodes = 1

    @property
    def wants_key(self) -> bool:
        return not self.is_list and self.key is None


def _add(stack: list[_Container], value: Any, event: Any) -> Iterator[Any]:
    """Puts a value where it belongs; of the outermost list each one is a row, which is given and not kept."""
    container = stack[-1]
    if len(stack) == 1:
        yield value
        return
    row = stack[1]
    row.nodes += 1
    if row.nodes > _NODES:
        raise MalformedSheet(f"{_line(event)}: the row holds more than {_NODES:,} values.")
    if container.is_list:
        container.value.append(value)
    elif container.key is None:
        if not isinstance(value, str):
            raise MalformedSheet(f"{_line(event)} has a name that is no text.")
        if value in container.value:
            raise MalformedSheet(f"{_line(event)} has “{value[:60]}” a second time. Remove one.")
        container.key = value
    else:
        container.value[container.key] = value
        container.key = None


def _plain(text: str) -> Any:
    """What a word without quotes is. A number with leading zeros is a text, as they would be lost."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _NUMBER.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text) else text


def _refuse_tag(event: Any) -> None:
    if event.anchor is not None:
        raise MalformedSheet(f"{_line(event)} has an anchor (&). Remove it.")
    if event.tag is not None and event.tag != "tag:yaml.org,2002:str":
        raise MalformedSheet(f"{_line(event)} has the tag {event.tag[:60]}. Remove it.")


def _line(event: Any) -> str:
    return f"Line {event.start_mark.line + 1}"

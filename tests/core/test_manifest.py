"""What a side says it has; read strictly, and compared trait by trait."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from data_sync.core.errors import MalformedStream
from data_sync.core.manifest import Manifest, ModelManifest, parse_manifest, schema_differences

SHAPE = {"type": "CharField", "null": False, "max_length": 2}
COUNTRY = ModelManifest(key=("code",), fields={"code": SHAPE}, files={"flag": {"type": "file", "null": True}}, count=3)
MANIFEST = Manifest(models={"app.country": COUNTRY})


def test_what_is_written_is_read_back() -> None:
    assert parse_manifest(MANIFEST.to_plain()) == MANIFEST


@pytest.mark.parametrize(
    "document", [None, [], "x", 7, {}, {"format": "other"}, {"format": "data-sync-export", "protocol": 1, "models": {}}]
)
def test_what_is_no_manifest_is_refused(document: Any) -> None:
    with pytest.raises(MalformedStream, match="not a data_sync manifest"):
        parse_manifest(document)


@pytest.mark.parametrize("protocol", [0, 2, "1", None, [1], True, 1.0])
def test_another_protocol_is_refused_and_both_are_named(protocol: Any) -> None:
    with pytest.raises(MalformedStream, match="protocol"):
        parse_manifest({**MANIFEST.to_plain(), "protocol": protocol})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", "code"),
        ("key", [1]),
        ("fields", []),
        ("fields", {"a": 1}),
        ("files", None),
        ("files", {"a": []}),
        ("count", "3"),
        ("count", -1),
        ("count", True),
        ("count", 10**30),
    ],
)
def test_a_model_of_another_shape_is_refused_by_name(name: str, value: Any) -> None:
    document = deepcopy(MANIFEST.to_plain())
    document["models"]["app.country"][name] = value
    with pytest.raises(MalformedStream, match=r"app\.country"):
        parse_manifest(document)
    del document["models"]["app.country"][name]
    with pytest.raises(MalformedStream, match=r"app\.country"):
        parse_manifest(document)


@pytest.mark.parametrize("redacted", ["name", None, [1], {"name": True}])
def test_redacted_fields_are_a_list_of_names(redacted: Any) -> None:
    document = deepcopy(MANIFEST.to_plain())
    document["models"]["app.country"]["redacted"] = redacted
    with pytest.raises(MalformedStream, match=r"app\.country"):
        parse_manifest(document)


def test_a_manifest_says_what_is_redacted_and_both_sides_need_not_say_the_same() -> None:
    document = deepcopy(MANIFEST.to_plain())
    assert "redacted" not in document["models"]["app.country"]
    document["models"]["app.country"]["redacted"] = ["name"]
    other = parse_manifest(document)
    assert other.models["app.country"].redacted == ("name",) and other.to_plain() == document
    assert schema_differences(MANIFEST, other, ["app.country"]) == []


def test_members_of_a_later_version_are_ignored() -> None:
    document = deepcopy(MANIFEST.to_plain())
    document["models"]["app.country"]["later"] = document["later"] = 1
    assert parse_manifest(document) == MANIFEST


def test_equal_sides_have_no_differences_and_counts_are_none() -> None:
    other = parse_manifest(deepcopy(MANIFEST.to_plain()) | {})
    assert schema_differences(MANIFEST, other, ["app.country"]) == []


def test_every_difference_is_reported_with_model_and_field() -> None:
    there = Manifest(
        models={
            "app.country": ModelManifest(
                key=("iso",),
                fields={"code": {**SHAPE, "max_length": 3, "null": True}, "new": {"type": "IntegerField"}},
                files={},
            )
        }
    )
    found = schema_differences(MANIFEST, there, ["app.country", "app.other"])
    assert [(one["model"], one["field"]) for one in found] == [
        ("app.country", ""),
        ("app.country", "code"),
        ("app.country", "code"),
        ("app.country", "new"),
        ("app.country", "flag"),
        ("app.other", ""),
    ]
    assert all(one["difference"] for one in found)

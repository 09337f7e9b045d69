"""Uploads: a bundle becomes the very changeset that a pull over HTTP would have made, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_sync.core.states import ChangesetState, PullKind, PullState
from data_sync.models import Change, Changeset, DataPull
from data_sync.orm.files import read_blocks
from data_sync.services import pull, uploads
from tests.bundling import bundle_of_source
from tests.environments import Environments
from tests.testapp.models import Category, Customer, Document, Page, Person, Product, Tag

NOT_COMPARED = {"id", "changeset"}


def blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from read_blocks(file)


def uploaded(environments: Environments, path: Path, name: str = "staging.zip") -> DataPull:
    return pull.run_pull(uploads.request_upload(blocks(path), name, environments.actor).pk)


def changeset_of(done: DataPull) -> Changeset:
    assert done.state == PullState.DONE, done.error
    return Changeset.objects.get(pull=done)


def stored(changeset: Changeset) -> list[dict[str, Any]]:
    columns = [column.name for column in Change._meta.concrete_fields if column.name not in NOT_COMPARED]
    return list(changeset.changes.order_by("number").values(*columns))


def everything(environments: Environments) -> None:
    """Creates, updates, deletes, renames, files, scopes, links, references, cascades and redacted fields."""
    tag = environments.add(Tag, name="sale")
    root = environments.add(Category, slug="root")
    environments.add(Category, slug="child", parent=root, title=("new", "old"))
    environments.add(Product, sku=("light", "lamp"), name="Lamp", category=root)
    linked = environments.add(Product, sku="linked", name="Linked")
    environments.add(Product, sku="gone", name="Gone", only="default")
    environments.add(Product, sku="come", name="Come", only="source")
    linked[0].tags.add(tag[0])
    environments.add(Page, slug="left", published=(False, True))
    environments.add(Page, slug="gone", only="default")
    one, other = environments.add(Person, name="ada"), environments.add(Person, name="bob")
    one[0].friends.add(other[0])
    environments.add(Customer, name="ada", account=("secret", "other"))
    for name, content in (("a.txt", b"aaa"), ("b.txt", b"bb")):
        environments.put(name, content, only="source")
    environments.put("b.txt", b"old", only="default")
    environments.add(Document, name="new", attachment="a.txt", only="source")
    environments.add(Document, name="changed", attachment="b.txt")


def test_a_bundle_makes_the_changeset_that_a_pull_over_http_makes(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_sync.services.redaction.new_key", lambda: b"k" * 32)
    everything(environments)
    path = bundle_of_source(tmp_path / "staging.zip")
    over_http = changeset_of(environments.pull_everything())
    by_file = changeset_of(uploaded(environments, path))
    assert stored(by_file) == stored(over_http)
    assert {row["operation"] for row in stored(by_file)} == {"create", "update", "delete", "rename"}
    assert [row["key"] for row in stored(by_file) if row["left_scope"]] == [["left"]]
    assert by_file.summary == over_http.summary and by_file.guards == over_http.guards
    assert (by_file.kind, by_file.source, by_file.source_name) == (PullKind.BUNDLE, None, "staging.zip")
    over_http.refresh_from_db()
    assert over_http.state in (ChangesetState.PENDING, ChangesetState.BLOCKED)

"""What a card makes of a change."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.admin.cards import build_card
from data_sync.admin.cells import Cell, FilePlace
from data_sync.admin.presentation import Card, FieldShape, ModelShape, Neighbour
from data_sync.admin.room import Room
from data_sync.core.records import Record
from data_sync.core.redaction import diff_rows
from data_sync.core.text import Mark
from data_sync.models import Change
from data_sync.services.moved import Moved

from .making import change

SHAPE = ModelShape(
    label="shop.copy",
    name="Copy",
    fields={
        "language": FieldShape(label="Language", kind="reference", target="shop.language"),
        "value": FieldShape(label="Value"),
        "options": FieldShape(label="Options", kind="json"),
        "tags": FieldShape(label="Tags", kind="links", target="shop.tag"),
        "thumbnail": FieldShape(label="Thumbnail", kind="file"),
    },
)


def card_of(row_change: Change, *neighbours: Neighbour) -> Card:
    def place(row: Change, field: str, side: str) -> FilePlace:
        return FilePlace(url=f"/{row.number}/{field}/{side}")

    return build_card(row_change, SHAPE, {other.number: other for other in neighbours}, place, Room.of_many())


def neighbour(**values: Any) -> Neighbour:
    return Neighbour(
        **{
            "number": 2,
            "model": "shop.language",
            "model_name": "Language",
            "key": ["FR", "fr"],
            "key_text": "FR · fr",
            "operation": "create",
            "decision": "undecided",
            **values,
        }
    )


def said(cell: Cell) -> str:
    return cell.absence or "".join(s.text for s in cell.stretches) or ", ".join(item.text for item in cell.items)


def test_an_update_shows_what_differs_and_folds_the_rest():
    card = card_of(change(before={"value": "Boots", "language": ["FR"]}, after={"value": "Shoes", "language": ["FR"]}))

    assert [(row.label, said(row.here), said(row.incoming)) for row in card.rows] == [("Value", "Boots", "Shoes")]
    assert [(field.label, said(field.value)) for field in card.unchanged] == [("Language", "FR")]


def test_fields_stand_in_the_models_order():
    before = {"tags": [], "value": "a", "language": ["FR"]}
    after = {"tags": [["x"]], "value": "b", "language": ["DE"]}

    assert [row.label for row in card_of(change(before=before, after=after)).rows] == ["Language", "Value", "Tags"]


def test_a_field_that_is_no_longer_known_shows_by_its_name():
    card = card_of(change(before={"gone": 1}, after={"gone": 2}))

    assert [row.label for row in card.rows] == ["gone"]


def test_json_differs_place_by_place():
    before = {"options": {"tags": ["a", "b", "c"], "on": True}}
    after = {"options": {"tags": ["a", "b", "d"], "on": True, "max": None}}

    rows = card_of(change(before=before, after=after)).rows

    assert {row.path: (said(row.here), said(row.incoming)) for row in rows} == {
        "max": ("absent", "null"),
        "tags[2]": ("c", "d"),
    }


def test_a_json_value_that_changes_type_shows_both_types():
    rows = card_of(change(before={"options": {"n": 5}}, after={"options": {"n": "5"}})).rows

    assert [(said(row.here), said(row.incoming)) for row in rows] == [("5", '"5"')]


def test_null_and_empty_text_are_shown_as_what_they_are():
    (row,) = card_of(change(before={"value": None}, after={"value": ""})).rows

    assert (row.here.absence, row.incoming.absence) == ("null", "empty")


def test_a_reference_is_one_value_however_many_parts_its_key_has():
    (row,) = card_of(change(before={"language": ["FR", "fr"]}, after={"language": ["BE", "fr"]})).rows

    assert (said(row.here), said(row.incoming)) == ("FR · fr", "BE · fr")


def test_a_reference_to_a_row_that_the_changeset_creates_says_by_which_change():
    card = card_of(change(1, after={"language": ["FR", "fr"], "value": "x"}, requires=[2]), neighbour())

    assert card.rows[0].incoming.items[0].created_by == 2
    assert card.requires == ()


def test_a_reference_to_a_rejected_create_is_named_again_above_the_table():
    other = neighbour(decision="rejected")

    card = card_of(change(1, after={"language": ["FR", "fr"]}, requires=[2]), other)

    assert card.requires == (other,)


def test_a_required_delete_is_named():
    other = neighbour(operation="delete")

    assert card_of(change(1, before={"value": "x"}, requires=[2]), other).requires == (other,)


def test_links_show_what_was_removed_here_and_added_there():
    (row,) = card_of(change(before={"tags": [["a"], ["b"]]}, after={"tags": [["b"], ["c"]]})).rows

    assert [(item.text, item.mark) for item in row.here.items] == [("a", Mark.REMOVED)]
    assert [(item.text, item.mark) for item in row.incoming.items] == [("c", Mark.ADDED)]
    assert row.here.kept == ("b",)


@pytest.mark.parametrize("operation", ["create", "delete"])
def test_a_one_sided_change_folds_fields_without_a_value(operation):
    side = "after" if operation == "create" else "before"

    card = card_of(change(**{side: {"value": "x", "language": None, "tags": []}}))

    assert [row.label for row in card.rows] == ["Value"]
    assert [row.label for row in card.without_value] == ["Language", "Tags"]
    assert card.is_one_sided


def test_a_file_counts_by_size_and_checksum_not_by_name():
    file = {"name": "a.png", "size": 1, "checksum": "sha256:aa"}
    same = card_of(
        change(before={}, after={}, files={"thumbnail": {"before": file, "after": file | {"name": "b.png"}}})
    )
    other = card_of(
        change(before={}, after={}, files={"thumbnail": {"before": file, "after": file | {"checksum": "sha256:bb"}}})
    )

    assert [row.label for row in same.rows] == []
    assert [field.label for field in same.unchanged] == ["Thumbnail"]
    assert [(row.label, row.incoming.file and row.incoming.file.place.url) for row in other.rows] == [
        ("Thumbnail", "/1/thumbnail/after")
    ]


def test_values_that_travel_along_are_listed_but_are_no_difference():
    carried = {"before": {"updated": "2026-01-01"}, "after": {"updated": "2026-02-02"}}

    card = card_of(change(before={"value": "a"}, after={"value": "b"}, carried=carried))

    assert [(field.label, said(field.value), field.travels) for field in card.unchanged] == [
        ("updated", "2026-02-02", True)
    ]
    assert (card.same, card.travelling) == (0, 1)


def test_cascades_are_told_by_model_and_effect():
    cascades = [
        {"model": "auth.group", "pk": "1", "label": "editors", "effect": "delete", "column": "x"},
        {"model": "auth.group", "pk": "2", "label": "readers", "effect": "delete", "column": "y"},
        {"model": "auth.user", "pk": "3", "label": "mira", "effect": "null", "column": "team"},
        {"model": "gone.model", "pk": "4", "label": "", "effect": "unlink", "column": "z"},
    ]

    effects = card_of(change(before={"value": "x"}, cascades=cascades)).effects

    assert [(effect.words, effect.names) for effect in effects] == [
        ("Also deletes 2 rows of groups", ("editors", "readers")),
        ("Sets team to null in 1 row of user", ("mira",)),
        ("Removes 1 link (gone.model)", ()),
    ]


def test_white_space_and_look_alikes_are_noted():
    white = card_of(change(before={"value": "a b"}, after={"value": "a  b"})).rows[0]
    alike = card_of(change(before={"value": "é"}, after={"value": "e\u0301"})).rows[0]

    assert (white.notes, alike.notes) == (("whitespace_only",), ("unicode_only",))


def test_a_value_that_differs_in_thousands_of_places_shows_some_and_counts_the_others():
    before, after = ({"options": {f"name{n}": n + step * (n % 2) for n in range(10_000)}} for step in (0, 1))

    card = card_of(change(before=before, after=after))

    assert len(card.rows) == 40
    assert [row.further for row in card.rows] == [0] * 39 + [4_960]
    assert card.is_cut


# Redacted fields


def redacted_card(moved: Moved | None = None, **values: Any) -> Card:
    def place(row: Change, field: str, side: str) -> FilePlace:
        return FilePlace()

    names = ("value", "language", "tags", "options")
    row_change = change(**values)
    row_change.diff = diff_rows(values.get("before") or {}, values.get("after") or {}, names)
    return build_card(row_change, SHAPE, {}, place, Room.of_many(), moved, names)


SECRETS: dict[str, Any] = {"value": "secret", "language": ["secret"], "tags": [["secret"]], "options": {"secret": 1}}
OTHERS: dict[str, Any] = {"value": "secret 2", "language": ["secret"], "tags": [], "options": {"secret": 2}}


def test_a_redacted_field_that_differs_is_one_line_that_says_so_and_the_same_ones_are_hidden():
    card = redacted_card(before=SECRETS, after=OTHERS)
    assert [(row.name, row.here.absence, row.incoming.absence) for row in card.rows] == [
        (name, "redacted_change", "redacted_change") for name in ("value", "options", "tags")
    ]
    assert [(field.label, field.value.absence) for field in card.unchanged] == [("Language", "redacted")]
    assert {(row.here.mark, row.incoming.mark) for row in card.rows} == {(Mark.REMOVED, Mark.ADDED)}


@pytest.mark.parametrize("sides", [{"after": SECRETS}, {"before": SECRETS}])
def test_of_one_side_each_redacted_field_is_hidden_and_not_counted_as_empty(sides):
    card = redacted_card(**sides)
    assert len(card.rows) == 4 and not card.without_value
    assert {cell.absence for row in card.rows for cell in (row.here, row.incoming)} == {"redacted", "absent"}
    empty = {"value": "", "language": None, "tags": [], "options": None}
    assert len(redacted_card(**{side: empty for side in sides}).rows) == 4, "that it is empty is not told either"


def test_what_was_agreed_on_and_what_is_here_now_is_hidden_too():
    conflict = {"kind": "changed", "by": "", "at": ""}
    moved = Moved(
        kind="edited",
        record=Record(model="shop.copy", key=("a",), fields=OTHERS | {"value": "secret 3"}),
        shown=Record(model="shop.copy", key=("a",), fields=OTHERS | {"value": "secret 3"}),
        names=("value",),
        digest="sha256:keyed",
    )
    values = {"before": SECRETS, "after": OTHERS, "base": OTHERS, "base_digest": "b", "conflict": conflict}
    for card in (redacted_card(**values), redacted_card(moved, **values)):
        assert {row.agreed.absence for row in card.rows} == {"redacted"}
        held = [card.change.before, card.change.after, card.change.base, card.change.seen, card.change.diff]
        assert "secret" not in str([card.rows, card.unchanged, card.without_value, *held])

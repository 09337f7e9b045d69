"""Structured diffs: exact, type-strict, ordered, and quick whatever they are given."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_sync.core.diff import MAX_ROWS, DiffRow, diff_fields
from data_sync.core.equality import StrictKeys

Plain = list[dict[str, Any]]


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def plain_diff(before: dict[str, Any], after: dict[str, Any]) -> Plain:
    """The diff as a reader of the exported JSON has it."""
    rows: Plain = json.loads(json.dumps([row.to_plain() for row in diff_fields(before, after)]))
    return rows


# An auditor's reader, written from the contract in the module's docstring and from nothing else.


class Node:
    def __init__(self) -> None:
        self.changed: dict[str, Any] | None = None
        self.removed: dict[str | int, Any] = {}
        self.added: dict[str | int, Any] = {}
        self.inner: dict[str | int, Node] = {}


def tree(rows: Plain) -> Node:
    root = Node()
    for row in rows:
        *parents, last = row["path"]
        node = root
        for part in parents:
            node = node.inner.setdefault(part, Node())
        if row["kind"] == "added":
            node.added[last] = row["after"]
        elif row["kind"] == "removed":
            node.removed[last] = row["before"]
        else:
            node.inner.setdefault(last, Node()).changed = row
    return root


def forwards(value: Any, node: Node | None) -> Any:
    if node is None:
        return value
    if node.changed is not None:
        assert canonical(node.changed["before"]) == canonical(value)
        return node.changed["after"]
    if isinstance(value, dict):
        kept = {name: forwards(v, node.inner.get(name)) for name, v in value.items() if name not in node.removed}
        assert not kept.keys() & node.added.keys()
        return kept | node.added
    items = [forwards(v, node.inner.get(i)) for i, v in enumerate(value) if i not in node.removed]
    for position in sorted(node.added):
        items.insert(position, node.added[position])
    return items


def backwards(value: Any, node: Node | None) -> Any:
    if node is None:
        return value
    if node.changed is not None:
        assert canonical(node.changed["after"]) == canonical(value)
        return node.changed["before"]
    if isinstance(value, dict):
        kept = {name: backwards(v, node.inner.get(name)) for name, v in value.items() if name not in node.added}
        return kept | node.removed
    remaining = iter([v for i, v in enumerate(value) if i not in node.added])
    length = len(value) - len(node.added) + len(node.removed)
    return [
        node.removed[i] if i in node.removed else backwards(next(remaining), node.inner.get(i)) for i in range(length)
    ]


SCALARS = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        0.0,
        -0.0,
        1.0,
        1.5,
        10**30,
        1e300,
        "",
        "0",
        "1",
        "a",
        "b\nc",
        "é",
        "[0]",
        "__a",
    ]
)
NAMES = st.sampled_from(["", "0", "1", "a", "b", "__a", "a']['b", "a\"b'c", "root", "é", "[0]"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)
RECORDS = st.dictionaries(NAMES, VALUES, max_size=4)


@st.composite
def edited(draw: st.DrawFn, value: Any) -> Any:
    """The value with small edits at any depth, so that there is something to align."""
    if draw(st.integers(0, 7)) == 0:
        return draw(VALUES)
    if isinstance(value, dict):
        result = {
            name: draw(edited(part)) if draw(st.booleans()) else part
            for name, part in value.items()
            if draw(st.integers(0, 5))
        }
        return result | (draw(st.dictionaries(NAMES, SCALARS, max_size=1)))
    if isinstance(value, list):
        items = []
        for part in value:
            if draw(st.integers(0, 5)) == 0:
                items.append(draw(SCALARS))
            if draw(st.integers(0, 5)):
                items.append(draw(edited(part)) if draw(st.booleans()) else part)
        return items[::-1] if draw(st.integers(0, 9)) == 0 else items
    return value


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    before = draw(RECORDS)
    return before, {name: draw(edited(value)) for name, value in before.items()} | draw(
        st.just({}) | st.dictionaries(NAMES, VALUES, max_size=1)
    )


PAIRS = st.tuples(RECORDS, RECORDS) | pairs()


@given(PAIRS)
@settings(max_examples=600, deadline=None)
def test_a_diff_is_empty_exactly_if_the_canonical_json_is_equal(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    before, after = pair
    assert (diff_fields(before, after) == []) is (canonical(before) == canonical(after))


@given(PAIRS)
@settings(max_examples=600, deadline=None)
def test_each_side_can_be_rebuilt_from_the_other_and_the_rows(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    before, after = pair
    rows = plain_diff(before, after)
    assert canonical(forwards(before, tree(rows))) == canonical(after)
    assert canonical(backwards(after, tree(rows))) == canonical(before)


@given(PAIRS)
@settings(max_examples=300, deadline=None)
def test_no_row_is_idle_and_none_stands_twice(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    rows = plain_diff(*pair)
    assert all(canonical(row["before"]) != canonical(row["after"]) for row in rows if row["kind"] == "changed")
    places = [canonical([row["path"], row["kind"]]) for row in rows]
    assert len(set(places)) == len(places)


@given(PAIRS, st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_the_order_of_members_makes_no_difference(pair: tuple[dict[str, Any], dict[str, Any]], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        match value:
            case dict():
                names = list(value)
                random.shuffle(names)
                return {name: shuffled(value[name]) for name in names}
            case list():
                return [shuffled(part) for part in value]
        return value

    before, after = pair
    assert canonical(plain_diff(shuffled(before), shuffled(after))) == canonical(plain_diff(before, after))


@given(PAIRS)
@settings(max_examples=200, deadline=None)
def test_neither_side_is_altered(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    texts = canonical(pair)
    diff_fields(*pair)
    assert canonical(pair) == texts


@given(VALUES, VALUES)
@settings(max_examples=500)
def test_strict_keys_are_equal_exactly_if_the_canonical_json_is(left: Any, right: Any) -> None:
    keys = StrictKeys()
    assert (keys.of(left) == keys.of(right)) is (canonical(left) == canonical(right))


def row(path: str, kind: str, *values: Any) -> dict[str, Any]:
    sides = {"changed": ("before", "after"), "added": ("after",), "removed": ("before",)}[kind]
    return {"path": json.loads(path), "kind": kind, **dict(zip(sides, values, strict=True))}


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        pytest.param(1, 1.0, [row('["f"]', "changed", 1, 1.0)], id="an integer is no float"),
        pytest.param(1, True, [row('["f"]', "changed", 1, True)], id="true is no number"),
        pytest.param([[0]], [[False]], [row('["f", 0]', "removed", [0]), row('["f", 0]', "added", [False])], id="deep"),
        pytest.param({"a": 0.0}, {"a": -0.0}, [row('["f", "a"]', "changed", 0.0, -0.0)], id="zero has a sign"),
        pytest.param("", None, [row('["f"]', "changed", "", None)], id="empty text is not null"),
        pytest.param({"1": 5}, {"1": 6}, [row('["f", "1"]', "changed", 5, 6)], id="a digit as a name stays a string"),
        pytest.param({"__a": 1}, {"__a": 2}, [row('["f", "__a"]', "changed", 1, 2)], id="no name is private"),
        pytest.param({"1": "a"}, ["x", "a"], [row('["f"]', "changed", {"1": "a"}, ["x", "a"])], id="other kind"),
        pytest.param({"a": None}, {}, [row('["f", "a"]', "removed", None)], id="null removed"),
        pytest.param([1, 2, 3], [1, 3], [row('["f", 1]', "removed", 2)], id="removed from the middle"),
        pytest.param([1, 3], [1, 2, 3], [row('["f", 1]', "added", 2)], id="inserted in the middle"),
        pytest.param([1, 2, 3], [1, 9, 3], [row('["f", 1]', "changed", 2, 9)], id="replaced in the middle"),
        pytest.param(
            ["a", "b"],
            ["b", "a"],
            [row('["f", 0]', "removed", "a"), row('["f", 1]', "added", "a")],
            id="moved",
        ),
        pytest.param(
            [{"id": 1, "n": "a"}, {"id": 2, "n": "b"}],
            [{"id": 2, "n": "c"}],
            [row('["f", 0]', "removed", {"id": 1, "n": "a"}), row('["f", 1, "n"]', "changed", "b", "c")],
            id="the item that is most alike is the one that changed",
        ),
        pytest.param(
            [["FR"], ["DE"]],
            [["FR"], ["GB"]],
            [row('["f", 1]', "removed", ["DE"]), row('["f", 1]', "added", ["GB"])],
            id="references that share nothing are removed and added",
        ),
        pytest.param(
            [[1, 2], {"a": 1}],
            [0, [1, 2, 3], {"a": 2}],
            [
                row('["f", 0]', "added", 0),
                row('["f", 0, 2]', "added", 3),
                row('["f", 1, "a"]', "changed", 1, 2),
            ],
            id="positions count before, the last one of an added row after",
        ),
    ],
)
def test_rows(before: Any, after: Any, rows: Plain) -> None:
    assert canonical(plain_diff({"f": before}, {"f": after})) == canonical(rows)


def test_a_field_on_one_side_only_is_added_or_removed_even_if_null() -> None:
    rows = diff_fields({"gone": None, "same": 1}, {"new": None, "same": 1})
    assert rows == [
        DiffRow(path=("gone",), kind="removed"),
        DiffRow(path=("new",), kind="added"),
    ]
    assert [row.to_plain() for row in rows] == [
        {"path": ["gone"], "kind": "removed", "before": None},
        {"path": ["new"], "kind": "added", "after": None},
    ]


def test_rows_stand_in_the_order_of_their_paths_with_positions_as_numbers() -> None:
    before = {"b": list(range(12)), "a": {"z": 1, "y": {"10": 1, "9": 1}}}
    after = {"b": [0, 1, -2, *range(3, 10), -10, 11], "a": {"z": 2, "y": {"10": 2, "9": 2}}}
    paths = [row.path for row in diff_fields(before, after)]
    assert paths == [("a", "y", "10"), ("a", "y", "9"), ("a", "z"), ("b", 2), ("b", 10)]


def test_what_is_not_json_plain_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        diff_fields({"f": [{1}]}, {"f": []})


# Cost


def nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = {"inner": [value], "beside": 1}
    return value


WIDE = {f"name{i}": i for i in range(10_000)}
COLLIDING = [number * (2**61 - 1) for number in range(10_000)]
DICTS = [{"id": i, "name": f"x{i}", "tags": ["a", "b"]} for i in range(10_000)]


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        pytest.param(WIDE, {**WIDE, "name5": -1}, 1, id="10,000 members, one changed"),
        pytest.param(WIDE, {name: -1 for name in WIDE}, 1, id="10,000 members, all changed"),
        pytest.param(nested(50, WIDE), nested(50, {**WIDE, "name5": -1}), 1, id="50 deep, 10,000 wide"),
        pytest.param(nested(200, 1), nested(200, 2), 1, id="400 deep"),
        pytest.param(list(range(10_000)), [x if x % 2 else -x for x in range(10_000)], 4_999, id="half of a list"),
        pytest.param(list(range(10_000)), list(range(9_999, -1, -1)), 1, id="a list turned round"),
        pytest.param([0, 1] * 5_000, [1] * 10_000, 1, id="a list of few values"),
        pytest.param(DICTS, [d if d["id"] % 100 else {**d, "name": ""} for d in DICTS], 100, id="a list of objects"),
        pytest.param({"a": "x y\n" * 25_000}, {"a": "x z\n" * 25_000}, 1, id="100 kB of text in an object"),
        pytest.param("x" * 100_000, "y" * 100_000, 1, id="100 kB of text"),
        pytest.param(COLLIDING, COLLIDING[::-1], 1, id="integers with one hash"),
        pytest.param(
            {"k" * 10**5: WIDE},
            {"k" * 10**5: {**WIDE, **dict.fromkeys(list(WIDE)[:3000])}},
            3_000,
            id="names",
        ),
    ],
)
@pytest.mark.timeout(20)  # 0.4 s at most when measured
def test_large_values_take_no_quadratic_time(before: Any, after: Any, rows: int) -> None:
    assert len(diff_fields({"f": before}, {"f": after})) == rows


def test_flat_rows_never_load_deepdiff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepdiff", None)
    before = {"name": "x", "price": 1, "text": "word " * 100, "ratio": 1.5, "empty": None, "on": True}
    versions = [{**before, "price": price, "text": f"word {price}"} for price in range(2, 1002)]
    assert all(len(diff_fields(before, after)) == 2 for after in versions)


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        pytest.param(list(range(10_000)), list(range(9_999, -1, -1)), ("f",), id="too many rows"),
        pytest.param(WIDE, dict.fromkeys(WIDE, -1), ("f",), id="too many members"),
        pytest.param([*DICTS], [{**d, "name": "", "id": -1} for d in DICTS], ("f",), id="too many items"),
        pytest.param({"a": [0, 1] * 5_000, "b": 1}, {"a": [1] * 10_000, "b": 1}, ("f", "a"), id="too many alike"),
    ],
)
def test_over_the_limits_a_value_stands_as_changed_and_says_so(before: Any, after: Any, path: Any) -> None:
    (row,) = diff_fields({"f": before}, {"f": after})
    assert (row.path, row.kind, row.note) == (path, "changed", "too_costly")
    assert row.to_plain()["note"] == "too_costly"


def test_what_lies_beside_a_value_over_the_limits_is_still_told_apart() -> None:
    before = {"a": [0, 1] * 5_000, "b": 1}
    notes = {row.path: row.note for row in diff_fields({"f": before}, {"f": {"a": [1] * 10_000, "b": 2}})}
    assert notes == {("f", "a"): "too_costly", ("f", "b"): None}


def test_the_limit_on_rows_is_exact() -> None:
    names = [str(i) for i in range(MAX_ROWS + 1)]
    assert len(diff_fields({"f": {}}, {"f": dict.fromkeys(names[:-1])})) == MAX_ROWS
    assert len(diff_fields({"f": {}}, {"f": dict.fromkeys(names)})) == 1
    assert len(diff_fields({"f": []}, {"f": names[:-1]})) == MAX_ROWS
    assert len(diff_fields({"f": []}, {"f": names})) == 1


def test_what_the_limits_leave_out_does_not_depend_on_the_order_of_members() -> None:
    before = {str(i): {"a": 0, "b": [0, 1] * 20, "c": 0} for i in range(2_000)}
    after = {str(i): {"a": 1, "b": [1] * 40, "c": 1} for i in range(2_000)}
    rows = diff_fields({"f": before}, {"f": after})
    assert {row.note for row in rows} == {None, "too_costly"}
    assert rows == diff_fields({"f": dict(reversed(before.items()))}, {"f": dict(reversed(after.items()))})


def test_deepdiff_is_loaded_only_for_objects() -> None:
    import subprocess
    import sys

    script = (
        "import sys; from data_sync.core.diff import diff_fields;"
        "diff_fields({'a': 1, 'b': ['x']}, {'a': 2, 'b': ['y']}); sys.exit('deepdiff' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

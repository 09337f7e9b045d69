"""One text for one value; and a reader that takes nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_sync.core import canonical
from data_sync.core.errors import MalformedStream

from .strategies import texts, values


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    text = canonical.dumps(value)
    assert repr(canonical.loads(text)) == repr(json.loads(text))
    assert canonical.dumps(canonical.loads(text)) == text


@given(st.dictionaries(texts, values, max_size=6))
def test_the_order_of_members_makes_no_difference(value: dict[str, Any]) -> None:
    assert canonical.dumps(dict(reversed(value.items()))) == canonical.dumps(value)


@given(texts)
def test_quoting_is_dumping(text: str) -> None:
    assert canonical.quote(text) == canonical.dumps(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1, 1.0, True, None]}, '{"a":[1,1.0,true,null],"b":1}'),
        ("é\U0001f600\u2028", '"é\U0001f600\u2028"'),
        ('"\\\n\x01', r'"\"\\\n\u0001"'),
        ({"\U0001f600": 1, "\uffee": 2}, '{"\uffee":2,"\U0001f600":1}'),
        (10**20, "100000000000000000000"),
        (0.1, "0.1"),
    ],
)
def test_the_text_is_exactly_this(value: Any, text: str) -> None:
    assert canonical.dumps(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), [float("nan")]])
def test_numbers_that_json_has_not_are_not_written(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical.dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '[{"b":{"a":1,"a":2}}]',
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e400",
        "-1e400",
        "9" * 1001,
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\ud800"',
        '"\\u0000"',
        '"\0"',
        '"\\\\\\u0000"',
        "[" * 201 + "]" * 201,
        "[" * 100_000,
        '{"a":' * 201 + "1" + "}" * 201,
        "",
        " ",
        "{",
        "[1,]",
        "01",
        "'a'",
        '"a',
        '"\n"',
        "1 2",
        "nul",
        "\ufeff1",
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_what_is_ambiguous_or_endless_is_refused(text: str) -> None:
    with pytest.raises(MalformedStream):
        canonical.loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"\\\\u0000"', "\\u0000"),
        ('"[[[[' + "[" * 500 + '"', "[[[[" + "[" * 500),
        ("[" * 200 + "]" * 200, None),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ("9" * 1000, int("9" * 1000)),
        ("1e308", 1e308),
    ],
    ids=lambda one: ascii(one)[:30],
)
def test_what_only_looks_like_it_is_read(text: str, value: Any) -> None:
    assert value is None or canonical.loads(text) == value
    canonical.loads(text)


@pytest.mark.parametrize(
    ("value", "normal"),
    [(-0.0, "0.0"), (1e16, "10000000000000000"), (1e22, "1" + "0" * 22), (1.5, "1.5"), (3.0, "3.0"), (True, "true")],
)
def test_floats_have_the_form_that_every_database_gives_back(value: Any, normal: str) -> None:
    for given_value, text in ((value, normal), ([value], f"[{normal}]"), ({"a": value}, f'{{"a":{normal}}}')):
        assert canonical.dumps(canonical.normalise(given_value)) == text


@given(values)
def test_reading_normalised_is_normalising_what_was_read(value: Any) -> None:
    text = canonical.dumps(value)
    assert repr(canonical.loads_normalised(text)) == repr(canonical.normalise(canonical.loads(text)))


@given(values)
def test_normalising_twice_is_normalising_once(value: Any) -> None:
    once = canonical.normalise(value)
    assert canonical.dumps(canonical.normalise(once)) == canonical.dumps(once)


def depth(value: Any) -> int:
    match value:
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case list():
            return 1 + max(map(depth, value), default=0)
        case _:
            return 0


bracketed = st.recursive(
    st.text('[]{}"\\,a', max_size=6) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\', max_size=4), inner, max_size=3),
    max_leaves=20,
)


@given(bracketed, st.integers(0, 5))
def test_depth_is_counted_exactly_whatever_the_strings_hold(value: Any, limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "MAX_DEPTH", limit)
        if depth(value) > limit:
            with pytest.raises(MalformedStream, match="nested more than"):
                canonical.loads(canonical.dumps(value))
        else:
            assert canonical.loads(canonical.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    ["[" * 20_000_000, "[]," * 7_000_000 + "[" * 201, '["[",' * 4_000_000, "[" * 201 + '"' + "\\" * 20_000_000],
    ids=lambda text: text[:6],
)
@pytest.mark.timeout(30)  # 0.7 s at most when measured
def test_twenty_million_brackets_are_refused_in_seconds(text: str) -> None:
    with pytest.raises(MalformedStream):
        canonical.loads(text)


def test_a_member_that_occurs_twice_is_found_among_many() -> None:
    members = ",".join(f'"{number}":0' for number in range(50_000))
    with pytest.raises(MalformedStream, match="'49999' occurs twice"):
        canonical.loads(f'{{{members},"49999":0}}')


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        canonical.loads(text)
    except MalformedStream:
        pass


def test_a_digest_is_sha_256_of_the_utf_8_bytes() -> None:
    assert canonical.digest("é") == "sha256:4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c"


# The quick way


def strictly(text: str) -> str:
    """What `recode` stands for; "" where the strict reader refuses it."""
    try:
        return canonical.dumps(canonical.loads_normalised(text))
    except (MalformedStream, ValueError):
        return ""


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_recoding_is_reading_and_writing(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert canonical.recode(text) in ("", strictly(text))


@given(st.lists(st.sampled_from([*'{}[],: "', "\\", '"a"', "u0022", "ud800", "1", "-", "0.0", "e16", "é"]), max_size=9))
def test_recoding_takes_nothing_that_the_reader_refuses(parts: list[str]) -> None:
    text = "".join(parts)
    assert canonical.recode(text) in ("", strictly(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"\\u0061":1}',
        '{"\\"":1,"\\u0022":2}',
        '{"a":"\\"\\"","a":1}',
        '{"a":1,"a":"\\u0022\\u0022"}',
        '["\\u0000"]',
        '["\\ud800"]',
        '["\ud800"]',
        "[NaN]",
        "[-Infinity]",
        "[1e999]",
        "[1e16]",
        "[-0.0]",
        f"[{'9' * 1001}]",
        f'["{"x" * 2000}",{"9" * 1001}]',
        "[" * 201 + "]" * 201,
        "[" * 100_000,
        " 1",
        "1 ",
        "1 1",
        "",
        "nul",
    ],
)
def test_what_is_not_seen_to_be_strict_is_left_to_the_reader(text: str) -> None:
    assert canonical.recode(text) == ""
    for many in ([text], ["1", text, "[2]"], [text, "{}"], ['{"a":"b"}', text]):
        assert canonical.recode_all(many) is None


@given(st.lists(values, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_recoding_many_is_recoding_each(many: list[Any], ascii_only: bool, indent: int | None) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_only, indent=indent) for value in many]
    assert canonical.recode_all(texts) in (None, [strictly(text) for text in texts])


@given(
    st.lists(st.lists(st.sampled_from([*'{}[],: "', '"a"', "1", "u0022", "\\"]), max_size=5), min_size=1, max_size=4)
)
def test_recoding_many_takes_nothing_that_the_reader_refuses(many: list[list[str]]) -> None:
    """Nor what is no JSON by itself, but would be with its neighbours."""
    texts = ["".join(parts) for parts in many]
    assert canonical.recode_all(texts) in (None, [strictly(text) for text in texts])


def test_most_texts_go_the_quick_way() -> None:
    for value in ({"b": [1, 2.5, None, True], "a": {"d": 'é\n"\\', "c": -1}}, "text", 7, [], {}, "😀"):
        text = json.dumps(value)
        assert canonical.recode(text) == strictly(text) != ""
        assert canonical.recode_all([text, "[]", text]) == [strictly(text), "[]", strictly(text)]
    assert canonical.recode_all([]) == []

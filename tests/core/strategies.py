"""What Hypothesis draws: JSON-plain values, records, and streams of them."""

from __future__ import annotations

from hypothesis import strategies as st

from data_sync.core.records import FileValue, Record

#: Every character that a record may hold: no NUL, no half surrogate pairs.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
files = st.builds(
    FileValue,
    name=texts,
    size=st.integers(0, 2**63 - 1),
    checksum=st.integers(0, 2**256 - 1).map(lambda number: f"sha256:{number:064x}"),
)
keys = st.lists(st.booleans() | numbers | texts, min_size=1, max_size=3).map(tuple)


#: Records of which many share a key, and few a digest: for comparing.
small_records = st.builds(
    Record,
    model=st.just("app.copy"),
    key=st.tuples(st.sampled_from([0, 1, "1", "é", '"', "],{", True, 1.5])),
    fields=st.fixed_dictionaries({"v": st.sampled_from([0, False, 0.0, "", None, "},["])}),
)


def records(model: str = "app.copy") -> st.SearchStrategy[Record]:
    return st.builds(
        Record,
        model=st.just(model),
        key=keys,
        fields=st.dictionaries(texts, values, max_size=4),
        files=st.dictionaries(texts, st.none() | files, max_size=2),
        carried=st.dictionaries(texts, scalars, max_size=2),
    )

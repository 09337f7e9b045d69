"""RELIABILITY 4, 5: a listing of digests is whole and as it was sent, or it is refused."""

from __future__ import annotations

import hashlib
import random
import struct
import tempfile
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from data_sync.core import canonical
from data_sync.core.digests import MAX_FRAME, MAX_HANDLE, DigestReader, Entry, write_digests
from data_sync.core.errors import DataSyncError, IncompleteStream, MalformedStream
from data_sync.core.source import MAX_HANDLES, handle_batches
from data_sync.core.twins import KeyHashes

MODELS = ["app.number", "app.empty", "app.text", "app.uuid"]
KINDS = {"app.number": "integer", "app.empty": "integer", "app.text": "text", "app.uuid": "uuid"}


def hashes(number: int) -> tuple[bytes, bytes]:
    digest = hashlib.sha256(str(number).encode()).digest()
    return digest[:8], digest[8:24]


def entries(handles: list[Any]) -> list[Entry]:
    return [(*hashes(number), handle) for number, handle in enumerate(handles)]


ROWS: dict[str, list[Entry]] = {
    "app.number": entries([0, -1, 2**63 - 1, -(2**63), 7]),
    "app.empty": [],
    "app.text": entries(["", "a", "é\U0001f600", "x" * 127, "y" * 128, "z" * MAX_HANDLE]),
    "app.uuid": entries(["00000000000000000000000000000000", "12345678123456781234567812345678"]),
}


def listing(rows: dict[str, list[Entry]] = ROWS) -> bytes:
    return b"".join(write_digests(list(rows), {label: KINDS[label] for label in rows}, of_batches(rows, 2)))


def of_batches(rows: dict[str, list[Entry]], size: int) -> Iterator[tuple[str, Iterator[list[Entry]]]]:
    for label, of_model in rows.items():
        yield label, (of_model[start : start + size] for start in range(0, len(of_model), size))


def read(data: bytes, step: int = 1 << 16, models: list[str] = MODELS) -> dict[str, list[Entry]]:
    reader = DigestReader((data[start : start + step] for start in range(0, len(data), step)), models)
    found: dict[str, list[Entry]] = {label: [] for label in models}
    for label, some in reader:
        assert some
        assert reader.counts == {}
        found[label] += some
    assert reader.counts == {label: len(of_model) for label, of_model in found.items()}
    return found


def remade(data: bytes) -> bytes:
    """The frames before the closing one, closed anew with an honest digest."""
    body = data[: data.rindex(b"\x02\x00\x00", 0, data.rindex(b'{"counts"'))]
    return body + end(body, {"app.number": 1})


def frame(tag: int, payload: bytes) -> bytes:
    return struct.pack(">BI", tag, len(payload)) + payload


def end(body: bytes, counts: dict[str, Any], **more: Any) -> bytes:
    closing = {"counts": counts, "digest": "sha256:" + hashlib.sha256(body).hexdigest(), "end": True, **more}
    return frame(2, canonical.dumps(closing).encode())


@pytest.mark.parametrize("step", [1, 2, 7, 31, 1000, 1 << 20])
def test_what_was_written_is_read_however_it_is_cut_into_blocks(step: int) -> None:
    assert read(listing(), step) == ROWS


def test_rows_of_any_number_are_cut_into_frames() -> None:
    many = {
        "app.number": entries(list(range(5000))),
        "app.text": entries([f"{number:0200}" for number in range(1000)]),
    }
    blocks = list(write_digests(list(many), {label: KINDS[label] for label in many}, of_batches(many, 3000)))
    assert max(map(len, blocks)) <= (1 << 16) + 200
    assert read(b"".join(blocks), models=list(many)) == many


@pytest.mark.parametrize(("label", "handle", "most"), [("app.number", 1, 32), ("app.uuid", "0" * 32, 40)])
def test_a_row_takes_few_bytes(label: str, handle: Any, most: int) -> None:
    whole = listing({label: entries([handle] * 4000)})
    assert len(whole) - len(listing({label: []})) <= most * 4000 + 2000 * 7 + 10


def test_no_part_of_a_listing_passes_for_the_whole() -> None:
    small = listing({"app.number": ROWS["app.number"], "app.text": entries(["", "a", "é"])})
    for size in range(len(small)):
        with pytest.raises(IncompleteStream, match="pull again"):
            read(small[:size], models=["app.number", "app.text"])


def test_no_altered_byte_passes() -> None:
    small = {"app.number": entries([5, 6]), "app.text": entries(["", "a"])}
    whole = listing(small)
    for place in range(len(whole)):
        for bit in range(8):
            altered = bytearray(whole)
            altered[place] ^= 1 << bit
            with pytest.raises(MalformedStream):
                read(bytes(altered), models=list(small))


def test_a_row_altered_on_the_way_is_told_from_a_malformed_one() -> None:
    whole = bytearray(listing({"app.number": entries([5])}))
    whole[whole.index(b"\n") + 10] ^= 1
    with pytest.raises(IncompleteStream, match=r"altered on its way.*Pull again"):
        read(bytes(whole), models=["app.number"])


def test_nothing_may_come_after_the_end() -> None:
    for step in (1, 1 << 16):
        with pytest.raises(MalformedStream, match="more after"):
            read(listing() + b"\n", step)


HEAD = b'{"format":"data-sync-digests","handles":{"app.number":"integer"},"models":["app.number"],"protocol":1}\n'
ROW = struct.pack(">8s16sq", b"k" * 8, b"d" * 16, 3)


@pytest.mark.parametrize(
    ("body", "counts", "words"),
    [
        (HEAD + frame(1, b"\0\0" + ROW), {"app.number": 2}, "says otherwise"),
        (HEAD + frame(1, b"\0\0" + ROW), {"app.number": True}, "says otherwise"),
        (HEAD + frame(1, b"\0\0" + ROW), {"app.number": 1, "app.copy": 0}, "says otherwise"),
        (HEAD + frame(1, b"\0\1" + ROW), {"app.number": 1}, "not asked for"),
        (HEAD + frame(1, b"\0\0" + ROW[:-1]), {"app.number": 1}, "middle of a row"),
        (HEAD + frame(1, b"\0\0"), {"app.number": 0}, "does not know"),
        (HEAD + frame(1, b""), {"app.number": 0}, "does not know"),
        (HEAD + frame(3, b"\0\0" + ROW), {"app.number": 1}, "does not know"),
        (HEAD.replace(b"integer", b"decimal"), {"app.number": 0}, "of a kind"),
        (HEAD.replace(b'"app.number":"integer"', b""), {"app.number": 0}, "other models"),
        (HEAD.replace(b'["app.number"]', b'["app.copy"]'), {"app.number": 0}, "other models"),
        (HEAD.replace(b":1}", b":2}"), {"app.number": 0}, "protocol"),
        (HEAD.replace(b":1}", b":1.0}"), {"app.number": 0}, "protocol"),
        (HEAD.replace(b'"integer"', b'["integer"]'), {"app.number": 0}, "of a kind"),
        (HEAD.replace(b"{", b"{ ", 1), {"app.number": 0}, "check its URL"),
        (b"[]\n", {}, "check its URL"),
        (b"\xff\n", {}, "check its URL"),
    ],
)
def test_what_is_no_listing_of_the_model_asked_for_is_refused(body: bytes, counts: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedStream, match=words):
        read(body + end(body, counts), models=["app.number"])


def test_an_honest_listing_made_by_hand_is_read() -> None:
    body = HEAD + frame(1, b"\0\0" + ROW)
    assert read(body + end(body, {"app.number": 1}), models=["app.number"]) == {
        "app.number": [(b"k" * 8, b"d" * 16, 3)]
    }


@pytest.mark.parametrize("closing", [b"", b"{}", b"[]", b"\xff", b'{"counts":{},"digest":"x","end":true}'])
def test_an_end_that_cannot_be_read_is_refused(closing: bytes) -> None:
    with pytest.raises(MalformedStream):
        read(HEAD + frame(2, closing), models=["app.number"])


def test_models_out_of_order_are_refused() -> None:
    head = canonical.dumps(
        {
            "format": "data-sync-digests",
            "handles": {"app.number": "integer", "app.empty": "integer"},
            "models": ["app.number", "app.empty"],
            "protocol": 1,
        }
    ).encode()
    body = head + b"\n" + frame(1, b"\0\1" + ROW) + frame(1, b"\0\0" + ROW)
    with pytest.raises(MalformedStream, match="another order"):
        read(body + end(body, {"app.number": 1, "app.empty": 1}), models=["app.number", "app.empty"])


@pytest.mark.parametrize(
    "handle",
    [
        b"\x05ab",  # Longer than what is there.
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00",  # A length without end.
        b"\x81\x80\x01" + b"a" * (MAX_HANDLE + 1),
        b"\x80",
        b"\x01\xff",  # No UTF-8.
        b"\x03\xed\xa0\x80",  # Half a surrogate pair.
    ],
)
def test_texts_that_cannot_be_are_refused(handle: bytes) -> None:
    head = HEAD.replace(b"integer", b"text")
    body = head + frame(1, b"\0\0" + b"k" * 8 + b"d" * 16 + handle)
    with pytest.raises(MalformedStream, match="middle of a row"):
        read(body + end(body, {"app.number": 1}), models=["app.number"])


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("opening", "block"),
    [
        (b"", b"x" * 65536),
        (b"", b"x" * 500),
        (HEAD + b"\x01\xff\xff\xff\xff", b"x" * 65536),
        (HEAD + frame(1, b"x")[:1], b"\xff"),
    ],
)
def test_parts_without_end_are_refused_early(opening: bytes, block: bytes) -> None:
    read_so_far = 0

    def blocks() -> Iterator[bytes]:
        nonlocal read_so_far
        yield opening
        while True:
            read_so_far += len(block)
            yield block

    tracemalloc.start()
    with pytest.raises(MalformedStream):
        list(DigestReader(blocks(), ["app.number"]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read_so_far <= MAX_FRAME + 70_000
    assert peak < 8 * MAX_FRAME


# Two rows with one key


def test_a_hash_that_occurs_twice_is_found_among_many_with_little_in_memory() -> None:
    chance = random.Random(1)
    with tempfile.TemporaryFile() as file:
        found = KeyHashes(file, buffered=5000)
        tracemalloc.start()
        for _ in range(200):
            found.add([chance.randbytes(8) for _ in range(500)])
        assert found.twice() is None
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 << 20
        found.add([b"12345678"])
        found.add([chance.randbytes(8) for _ in range(5000)])
        found.add([b"12345678"])
        assert found.twice() == b"12345678"


def test_a_file_serves_one_model_after_the_other() -> None:
    with tempfile.TemporaryFile() as file:
        for _ in range(2):
            found = KeyHashes(file, buffered=8)
            found.add([b"12345678", b"12345679"])
            found.add([b"22345678"])
            assert found.twice() is None


# Batches of handles


def test_batches_of_handles_keep_order_and_fit_into_a_request() -> None:
    for handles in (list(range(12_001)), [f"{number:0500}é" for number in range(3000)], ["x" * 900_000, "y", 1], []):
        batches = list(handle_batches(handles))
        assert [handle for batch in batches for handle in batch] == handles
        for batch in batches:
            assert 0 < len(batch) <= MAX_HANDLES
            assert len(canonical.dumps(batch).encode()) < 500_000 or len(batch) == 1
    assert len(list(handle_batches(range(12_001)))) == 3


def test_every_error_is_a_data_sync_error() -> None:
    chance = random.Random(2)
    whole = listing({"app.number": entries([1])})
    for _ in range(2000):
        noise = bytearray(whole)
        for _ in range(chance.randrange(1, 5)):
            noise[chance.randrange(len(noise))] = chance.randrange(256)
        try:
            read(bytes(noise), models=["app.number"])
        except DataSyncError:
            pass
        else:
            assert noise == whole

"""pynet_core.wire: the bytes are those of docs/reference/wire-format.md, and hostile bytes do nothing."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import struct
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pynet_core.decoder import (
    BUFFER_BYTES,
    BUFFER_KEPT_BYTES,
    OWN_BYTES,
    OWN_SHARE,
    OWN_SOON_BYTES,
    FrameDecoder,
)
from pynet_core.errors import LocalProtocolError, RemoteProtocolError
from pynet_core.items import pack_items
from pynet_core.transfer.compression import CODECS
from pynet_core.transfer.digest import digest_of
from pynet_core.transfer.messages import (
    FILE,
    FOLDER,
    LINK,
    Bit,
    Doomed,
    Hole,
    Join,
    Missed,
    Node,
    Nodes,
    Packed,
    Pull,
    Query,
    Remove,
    Report,
    Store,
    Tree,
    pack_dense,
)
from pynet_core.wire import (
    HEADER_BYTES,
    MAGIC,
    MAX_CONTROL_BYTES,
    MAX_ITEM_BYTES,
    MAX_OPENING_BYTES,
    WIRE_VERSION,
    Call,
    CallReader,
    Failure,
    Flag,
    Frame,
    Hello,
    Kind,
    Welcome,
    encode,
    encode_header,
    limit_bytes,
    pack_body,
    pack_call,
    unpack_body,
)

DOC: Final = (Path(__file__).parents[2] / "docs/reference/wire-format.md").read_text()
LARGE: Final = {
    *{Kind.STREAM, Kind.BATCH, Kind.BUFFER, Kind.SINK, Kind.ITEM, Kind.REPLY, Kind.PUT},
    *{Kind.LIST, Kind.TREE, Kind.PACK, Kind.RAW, Kind.DENSE},
}

HELLO: Final = Hello(
    magic=MAGIC,
    capabilities=(),
    controller_id=bytes(range(16)),
    pair_id=bytes(range(8)),
    attempt=1,
    purpose="stream",
    name="laptop",
)
WELCOME: Final = Welcome(gateway="car", role="admin", max_item_bytes=1 << 26, max_control_bytes=1 << 16)
CALL: Final = pack_call(Call(name="add", arguments=[1, "two"], kwargs={"three": b"3"}))
SHORT_CALL: Final = pack_call(Call(name="gps"))
FOUND: Final = Nodes(
    base=b"/var/log",
    digests=["xxh3-128"],
    nodes=[
        Node(b"old", FOLDER, 4096, 1_000_000_007, 1_000_000_009, 41, 0o755),
        Node(b"old/a", FILE, 3, 1_000_000_007, 1_000_000_009, 42, 0o644),
        Node(b"new", LINK, 5, 1_000_000_007, 1_000_000_009, 43, 0o777, b"old/a"),
    ],
    missed=[Missed(path=b"/var/log/d", reason="is a device, pipe or socket", wanted=False)],
)
PULL: Final = Pull(
    base=b"/var/log",
    digest="xxh3-128",
    bits=[Bit(b"old/a", 3, 1_000_000_007, 1_000_000_009, 42)],
    packed=True,
)
PACKED: Final = pack_body(Packed(sizes=[3], digests=digest_of("xxh3-128", b"abc")))

# The worked examples of the document: what each frame says.  Their bytes stand there.
GOLDEN: Final[dict[str, Frame]] = {
    "HELLO": Frame(Kind.HELLO, WIRE_VERSION, pack_body(HELLO)),
    "WELCOME": Frame(Kind.WELCOME, 200, pack_body(WELCOME)),
    "REFUSAL": Frame(Kind.REFUSAL, 503, pack_body(Failure(error="Refused", reason="full"))),
    "PING": Frame(Kind.PING, 0, b"ping"),
    "PONG": Frame(Kind.PONG, 0, b"ping", stamp_ns=1_000_000_007),
    "STREAM": Frame(Kind.STREAM, len(SHORT_CALL), SHORT_CALL),
    "BATCH": Frame(Kind.BATCH, len(CALL), CALL),
    "BUFFER": Frame(Kind.BUFFER, len(SHORT_CALL), SHORT_CALL + b"\x00\xff"),
    "SINK": Frame(Kind.SINK, len(SHORT_CALL), SHORT_CALL),
    "ITEM": Frame(Kind.ITEM, 7, b"abc", stamp_ns=256),
    "ITEM credited": Frame(Kind.ITEM, 7, b"abc", stamp_ns=256, flags=Flag.CREDITED, replaced=3),
    "ITEMS": pack_items([7, 8], [b"abc", b"def"], 3, 256),
    "ITEMS that differ": pack_items([7, 0], [b"abc", b""], 3, 256),
    "CREDIT": Frame(Kind.CREDIT, 1),
    "CANCEL": Frame(Kind.CANCEL),
    "END": Frame(Kind.END),
    "REPLY": Frame(Kind.REPLY, -2, b"ok"),
    "ERROR": Frame(Kind.ERROR, 404, pack_body(Failure(error="UnknownSubroutine", reason="no"))),
    "PUT": Frame(Kind.PUT, 0, b"abc"),
    "CLOSE_HANDLER": Frame(Kind.CLOSE_HANDLER),
    "CLOSE_GATEWAY": Frame(Kind.CLOSE_GATEWAY),
    "LIST": Frame(Kind.LIST, 0, pack_body(Query(folder=b"/var/log", regex=".+ERROR.log"))),
    "MORE": Frame(Kind.MORE),
    "FETCH": Frame(Kind.FETCH),
    "SAME": Frame(Kind.SAME),
    "LOST": Frame(Kind.LOST, 0, pack_body(Failure(error="Changed", reason="has vanished"))),
    "REPORT": Frame(
        Kind.REPORT, 0, pack_body(Report(missed=[Missed(path=b"a", reason="arrived corrupted")]))
    ),
    "REPORT that counts": Frame(Kind.REPORT, 0, pack_body(Report(missed=[], files=2, bytes=5, same=1))),
    "TREE": Frame(Kind.TREE, 0, pack_body(Tree(sources=[b"/var/log/"]))),
    "FOUND": Frame(Kind.FOUND, 0, pack_body(FOUND)),
    "PULL": Frame(Kind.PULL, 0, pack_body(PULL)),
    "PACK": Frame(Kind.PACK, len(PACKED), PACKED + b"abc"),
    "RAW": Frame(Kind.RAW, 1 << 20, b"abc"),
    "DENSE": Frame(Kind.DENSE, 1 << 20, pack_dense(1000, CODECS["zlib"].compress(bytes(1000), 1))),
    "HOLE": Frame(Kind.HOLE, 1 << 20, pack_body(Hole(length=1 << 20))),
    "SEAL": Frame(Kind.SEAL, 0, digest_of("xxh3-128", b"abc")),
    "STORE": Frame(Kind.STORE, 0, pack_body(Store(transfer=bytes(range(16)), key=bytes(16), folder="logs"))),
    "REMOVE": Frame(
        Kind.REMOVE,
        0,
        pack_body(Remove(base=b"logs", landed=True, things=[Doomed(b"old"), Doomed(b"new", 3, 7, 9, 42)])),
    ),
    "JOIN": Frame(Kind.JOIN, 0, pack_body(Join(transfer=bytes(range(16))))),
}


def documented_bytes(name: str) -> bytes:
    """The hex of one worked example: a fenced block that begins with its name."""
    block = re.search(rf"```hex\n{name}\n(.*?)```", DOC, re.DOTALL)
    assert block is not None, f"wire-format.md has no worked example {name!r}"
    return bytes.fromhex("".join(line.split("|")[0] for line in block[1].splitlines()))


def decode(data: bytes, *, opening: bool = False) -> list[Frame]:
    decoder = FrameDecoder()
    decoder.opening = opening
    frames = decoder.feed(data)
    decoder.end()
    return frames


def header(length: int, kind: int) -> bytes:
    return struct.pack("<IIqq", length, kind, 0, 0)


frames = st.builds(
    Frame,
    kind=st.sampled_from(Kind).map(int),
    ident=st.integers(-(2**63), 2**63 - 1),
    body=st.binary(max_size=200),
    stamp_ns=st.integers(0, 2**63 - 1),
    flags=st.integers(0, 255),
    replaced=st.integers(0, 0xFFFF),
)


# What stands on the wire


def test_every_kind_has_a_worked_example() -> None:
    assert {name.split()[0] for name in GOLDEN} == {kind.name for kind in Kind}


@pytest.mark.parametrize("name", GOLDEN)
def test_frames_are_the_bytes_the_document_shows(name: str) -> None:
    assert encode(GOLDEN[name]).hex(" ") == documented_bytes(name).hex(" ")


@pytest.mark.parametrize("name", GOLDEN)
def test_the_documents_bytes_are_read_as_the_same_frame(name: str) -> None:
    assert decode(documented_bytes(name), opening=True) == [GOLDEN[name]]


@pytest.mark.parametrize("kind", Kind)
def test_the_document_lists_each_kind_by_number_and_limit(kind: Kind) -> None:
    limit = {MAX_CONTROL_BYTES: "64 KiB", MAX_ITEM_BYTES: "64 MiB"}[limit_bytes(kind, opening=False)]
    if kind <= Kind.REFUSAL:
        limit = "4 KiB"
    assert re.search(
        rf"^\| {int(kind)} \| `{kind.name}` \| (controller|gateway|both) \| {limit} \|", DOC, re.M
    )


def test_the_documents_limits_are_those_of_the_code() -> None:
    assert (MAX_OPENING_BYTES, MAX_CONTROL_BYTES, MAX_ITEM_BYTES) == (4 << 10, 64 << 10, 64 << 20)
    assert {kind for kind in Kind if limit_bytes(kind, opening=False) == MAX_ITEM_BYTES} == LARGE
    assert HEADER_BYTES == 24


def test_more_replaced_items_than_16_bits_hold_are_told_as_65535() -> None:
    (frame,) = decode(encode(Frame(Kind.ITEM, replaced=1_000_000)))
    assert frame.replaced == 0xFFFF


def test_a_hello_with_fields_of_a_later_version_is_still_read() -> None:
    later = {**msgspec.to_builtins(HELLO, builtin_types=(bytes,)), "language": "python", "colour": [1]}
    assert unpack_body(pack_body(later), Hello) == HELLO


def test_unknown_flags_are_carried_and_harm_nothing() -> None:
    (frame,) = decode(encode(Frame(Kind.ITEM, 1, b"x", flags=0xFE)))
    assert frame.body == b"x"
    assert not frame.flags & Flag.CREDITED


# Any split, any end


@given(st.lists(frames, max_size=6), st.lists(st.integers(0, 1500), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_frames(sent: list[Frame], cuts: list[int]) -> None:
    data = b"".join(encode(frame) for frame in sent)
    decoder = FrameDecoder()
    decoder.opening = False
    marks = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    got: list[Frame] = []
    for start, stop in itertools.pairwise(marks):
        got += decoder.feed(data[start:stop])
    decoder.end()
    assert got == sent


@given(st.lists(frames, min_size=1, max_size=3))
def test_one_byte_at_a_time_gives_each_frame_with_its_last_byte(sent: list[Frame]) -> None:
    decoder = FrameDecoder()
    decoder.opening = False
    for frame in sent:
        data = encode(frame)
        for at in range(len(data) - 1):
            assert decoder.feed(data[at : at + 1]) == []
        assert decoder.feed(data[-1:]) == [frame]


@given(frames, st.data())
def test_a_stream_that_stops_inside_a_frame_is_told(frame: Frame, data: st.DataObject) -> None:
    whole = encode(frame)
    decoder = FrameDecoder()
    decoder.opening = False
    decoder.feed(whole[: data.draw(st.integers(1, len(whole) - 1))])
    with pytest.raises(RemoteProtocolError, match="B into a frame"):
        decoder.end()


# Hostile bytes


@given(st.lists(st.binary(max_size=300)), st.booleans())
@example([b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"], True)
@example([b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n"], True)
@example([b"\x00" * 24], True)
@example([b"\xff" * 24], False)
def test_noise_raises_only_remote_protocol_error(pieces: list[bytes], opening: bool) -> None:
    decoder = FrameDecoder()
    decoder.opening = opening
    with contextlib.suppress(RemoteProtocolError):
        for piece in pieces:
            decoder.feed(piece)
        decoder.end()


@given(frames, st.data())
def test_a_frame_with_a_broken_byte_raises_only_remote_protocol_error(
    frame: Frame, data: st.DataObject
) -> None:
    broken = bytearray(encode(frame))
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(RemoteProtocolError):
        decode(bytes(broken))


@given(st.sampled_from(Kind), st.booleans(), st.integers(1, 2**32 - 1), st.integers(0, 23))
def test_a_length_over_the_limit_is_refused_on_the_header_alone(
    kind: Kind, opening: bool, over: int, cut: int
) -> None:
    length = min(limit_bytes(kind, opening=opening) + over, 2**32 - 1)
    decoder = FrameDecoder()
    decoder.opening = opening
    decoder.feed(header(length, kind)[:cut])
    with pytest.raises(RemoteProtocolError, match=f"announced {length} B, limit"):
        decoder.feed(header(length, kind)[cut:])


@pytest.mark.parametrize("opening", [True, False])
@pytest.mark.parametrize("kind", Kind)
def test_a_length_at_the_limit_is_taken(kind: Kind, opening: bool) -> None:
    decoder = FrameDecoder()
    decoder.opening = opening
    assert decoder.feed(header(limit_bytes(kind, opening=opening), kind)) == []
    assert decoder.missing_bytes == limit_bytes(kind, opening=opening)


def test_an_unknown_kind_is_refused() -> None:
    for kind in set(range(256)) - set(Kind):
        with pytest.raises(RemoteProtocolError, match=f"unknown kind {kind}"):
            FrameDecoder().feed(header(0, kind))


def received_into_space(decoder: FrameDecoder, data: bytes, most: int) -> list[Frame]:
    """As a socket would give them that has at most so many at a time."""
    got: list[Frame] = []
    while data:
        space = decoder.space()
        count = min(len(space), len(data), most)
        space[:count] = data[:count]
        decoder.filled(count)
        data = data[count:]
        got += iter(decoder.take, None)
    return got


@given(st.lists(frames | st.integers(0, 40_000), max_size=8), st.lists(st.integers(1, 90_000), min_size=1))
def test_frames_are_the_same_however_they_are_given_to_the_decoder(
    sent: list[Frame | int], steps: list[int]
) -> None:
    """As bytes, or in place; a number is a frame of that size."""
    whole = [Frame(int(Kind.PUT), n, bytes([n % 256]) * n) if isinstance(n, int) else n for n in sent]
    data = b"".join(map(encode, whole))
    decoder = FrameDecoder()
    decoder.opening = False
    got: list[Frame] = []
    for number in range(len(data)):
        step = steps[number % len(steps)]
        piece, data = data[:step], data[step:]
        got += decoder.feed(piece) if number % 3 == 0 else received_into_space(decoder, piece, step // 2 + 1)
        if not data:
            break
    assert got == whole
    decoder.end()


def test_the_buffer_grows_with_what_has_come_and_a_large_one_is_given_back() -> None:
    decoder = FrameDecoder()
    decoder.opening = False
    assert received_into_space(decoder, header(MAX_ITEM_BYTES, Kind.PUT), 100) == []
    assert len(decoder.space()) < BUFFER_BYTES
    body = bytes(BUFFER_KEPT_BYTES)
    assert received_into_space(decoder, body, 1 << 20) == []
    assert len(decoder.space()) <= OWN_SHARE * len(body)
    (frame,) = received_into_space(decoder, bytes(MAX_ITEM_BYTES - len(body)), 1 << 20)
    assert len(frame.body) == MAX_ITEM_BYTES
    assert len(decoder.space()) == HEADER_BYTES  # another large one may follow: its body goes elsewhere
    assert len(decoder.space()) <= BUFFER_KEPT_BYTES


@pytest.mark.parametrize(
    "sizes", [[OWN_BYTES], [OWN_BYTES + 1] * 3, [300_000, 5, 200_000], [OWN_SOON_BYTES + 1]]
)
@pytest.mark.parametrize("step", [1 + OWN_BYTES // 3, 299_999, 2**25])
@pytest.mark.parametrize("in_place", [False, True])
def test_large_bodies_arrive_whole_however_they_are_split(
    sizes: list[int], step: int, in_place: bool
) -> None:
    sent = [Frame(int(Kind.ITEM), n, os.urandom(size), n, 1, n) for n, size in enumerate(sizes)]
    data = b"".join(map(encode, sent))
    decoder = FrameDecoder()
    decoder.opening = False
    got: list[Frame] = []
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        got += received_into_space(decoder, piece, 70_001) if in_place else decoder.feed(piece)
        assert decoder.missing_bytes > 0
    assert got == sent
    decoder.end()


def test_a_stream_that_stops_inside_a_large_body_is_told() -> None:
    decoder = FrameDecoder()
    decoder.opening = False
    assert decoder.feed(header(OWN_BYTES + 1, Kind.ITEM) + bytes(7)) == []
    with pytest.raises(RemoteProtocolError, match="closed 31 B into a frame"):
        decoder.end()


def test_a_call_without_arguments_is_remembered_and_no_others_are() -> None:
    reader = CallReader()
    for call, again in ((Call(name="gps"), True), (Call(name="gps", arguments=[[1]]), False)):
        head = pack_call(call)
        first, _ = reader.read(Frame(Kind.BATCH, len(head), head))
        second, _ = reader.read(Frame(Kind.BATCH, len(head), head))
        assert first == second == call
        assert (first is second) == again  # a function may change what it is given


@given(st.lists(frames, max_size=5), st.integers(0, 2000), st.integers(1, 500))
def test_what_is_held_is_never_more_than_one_frame(sent: list[Frame], size: int, step: int) -> None:
    data = b"".join(encode(frame) for frame in sent) + header(size, Kind.PUT) + bytes(size)
    decoder = FrameDecoder()
    decoder.opening = False
    fed = given_back = 0
    while fed < len(data):
        piece = data[fed : fed + step]
        before = decoder.missing_bytes
        got = decoder.feed(piece)
        fed += len(piece)
        given_back += sum(HEADER_BYTES + len(frame.body) for frame in got)
        assert decoder.held_bytes == fed - given_back <= HEADER_BYTES + max(size, 200)
        assert decoder.missing_bytes > 0
        assert got or decoder.missing_bytes < before or decoder.held_bytes >= HEADER_BYTES


@given(
    st.binary(max_size=400),
    st.sampled_from([Hello, Welcome, Failure, Call, Query, Report, Tree, Nodes, Pull, Packed, Store, Remove]),
)
@example(b"\x83\xa4name\xa1x\xa9arguments" + b"\x91" * 60_000 + b"\x90\xa6kwargs\x80", Call)  # too deep
@example(b"\x83\xa4name\xa1x\xa9arguments\xdd\xff\xff\xff\xff\xa6kwargs\x80", Call)  # 4 G elements, it says
@example(b"\x83\xa4name\xa1\xff\xa9arguments\x90\xa6kwargs\x80", Call)  # not UTF-8
@example(b"\x83\xa4name\xa1x\xa9arguments\x91\x81\x81\x01\x02\x03\xa6kwargs\x80", Call)  # a dict as key
@example(b"\x83\xa4name\x05\xa9arguments\x90\xa6kwargs\x80", Call)  # a number as name
def test_a_body_that_is_none_raises_only_remote_protocol_error(body: bytes, kind: type[Any]) -> None:
    try:
        assert isinstance(unpack_body(body, kind), kind)
    except RemoteProtocolError as exc:
        assert f"bad {kind.__name__}" in str(exc)


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=100))
def test_a_request_that_lies_about_its_call_raises_only_remote_protocol_error(
    ident: int, body: bytes
) -> None:
    with contextlib.suppress(RemoteProtocolError):
        _, buffer = CallReader().read(Frame(Kind.BUFFER, ident, body))
        assert body.endswith(buffer)


# What we send ourselves


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 99), inner),
    max_leaves=8,
)


@settings(max_examples=40)  # each draws a lot
@given(st.lists(json_like), st.dictionaries(st.text(), json_like), st.binary())
def test_arguments_and_buffer_arrive_as_they_were_given(
    arguments: list[Any], kwargs: dict[str, Any], buffer: bytes
) -> None:
    sent = Call(name="f", arguments=arguments, kwargs=kwargs)
    head = pack_call(sent)
    assert CallReader().read(Frame(Kind.BUFFER, len(head), head + buffer)) == (sent, buffer)


def nested_for_ever() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([object()], "cannot travel.*object is unsupported"),
        ([len], "cannot travel"),
        ([1 + 2j], "cannot travel.*complex"),
        ([2**64], "cannot travel.*ints"),
        (["\udcff"], "cannot travel.*surrogates"),
        ([memoryview(b"abcd")[::2]], "cannot travel.*contiguous"),
        (nested_for_ever(), "cannot travel.*recursion"),
        ([bytes(MAX_CONTROL_BYTES)], "limit 65536 B; send large data as buffer"),
    ],
)
def test_arguments_that_cannot_travel_are_told_before_anything_is_sent(
    arguments: list[Any], why: str
) -> None:
    with pytest.raises(LocalProtocolError, match=why):
        pack_call(Call(name="f", arguments=arguments))


def test_a_name_that_is_no_string_is_our_own_error_not_the_peers() -> None:
    with pytest.raises(LocalProtocolError, match="name is a string, got 5"):
        pack_call(Call(name=5))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", Kind)
def test_we_send_no_body_that_the_peer_would_refuse(kind: Kind) -> None:
    limit = limit_bytes(kind, opening=False)
    encode_header(Frame(kind), limit)
    with pytest.raises(LocalProtocolError, match=f"{kind.name} of {limit + 1} B, limit {limit} B"):
        encode_header(Frame(kind), limit + 1)


@pytest.mark.parametrize("ident", [2**63, -(2**63) - 1])
def test_an_ident_beyond_64_bits_is_refused(ident: int) -> None:
    with pytest.raises(LocalProtocolError, match="does not fit a signed 64-bit integer"):
        encode(Frame(Kind.ITEM, ident))

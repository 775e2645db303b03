"""Trees that travel compressed arrive as they were, over fewer bytes; a peer that lies is found out."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Literal

import pytest

from pynet_core.controller import Controller
from pynet_core.errors import PynetError
from pynet_core.transfer.compression import CODECS
from pynet_core.transfer.messages import Packed, pack_dense
from pynet_core.transfer.options import Compress, Options
from pynet_core.wire import Frame, Kind, pack_body, unpack_body
from tests.core.file_place import place_in
from tests.core.relay import Relay
from tests.core.tree_place import assert_same, make_tree

TEXT = b"2026-01-01 12:00:00 INFO one line is much like any other here\n"


def make_logs(top: Path) -> int:
    """A bit of everything, and text small and large; returns the bytes of the text."""
    top.mkdir(exist_ok=True)
    make_tree(top, random.Random(1), small=10, large=1)
    (top / "logs").mkdir()
    for number in range(20):
        (top / f"logs/{number}.log").write_bytes(TEXT * 500)
    (top / "logs/large.log").write_bytes(TEXT * 100_000)
    return len(TEXT) * 110_000


def moved(tmp_path: Path, way: Literal["get", "put"], compress: Compress) -> int:
    """Move the tree, compare it; returns the bytes that went over the wire."""
    with place_in(tmp_path) as place, Relay(place.gateway.port) as relay:
        make_logs(place.source)
        controller = Controller(port=relay.port)
        if way == "get":
            assert controller.get_files(f"{place.source}/", place.down, options=Options(compress=compress))
            assert_same(place.source, place.down)
            return relay.down_bytes
        assert controller.put_files(f"{place.source}/", options=Options(compress=compress))
        assert_same(place.source, place.up)
        return relay.up_bytes


@pytest.mark.parametrize("way", ["get", "put"])
def test_what_shrinks_travels_small_and_arrives_as_it_was(tmp_path: Path, way: Literal["get", "put"]) -> None:
    for name in ("plain", "dense"):
        (tmp_path / name).mkdir()
    plain = moved(tmp_path / "plain", way, "never")
    dense = moved(tmp_path / "dense", way, "always")
    text = len(TEXT) * 110_000
    assert dense < plain - 0.9 * text
    # On this machine nothing is gained by it.
    (tmp_path / "near").mkdir()
    assert moved(tmp_path / "near", way, "auto") > 0.9 * plain


def lie_about_pack(frame: Frame) -> Frame:
    if frame.kind != Kind.PACK:
        return frame
    head = unpack_body(frame.body[: frame.ident], Packed)
    body = pack_body(Packed(sizes=head.sizes, digests=head.digests, codec="zlib"))
    return Frame(Kind.PACK, len(body), body + CODECS["zlib"].compress(bytes(10_000_000), 1))


def lie_about_piece(frame: Frame) -> Frame:
    if frame.kind != Kind.DENSE:
        return frame
    return Frame(Kind.DENSE, frame.ident, pack_dense(1000, CODECS["zlib"].compress(bytes(10_000_000), 1)))


def not_compressed(frame: Frame) -> Frame:
    if frame.kind != Kind.DENSE:
        return frame
    return Frame(Kind.DENSE, frame.ident, frame.body[:4] + os.urandom(len(frame.body) - 4))


@pytest.mark.parametrize("tamper", [lie_about_pack, lie_about_piece, not_compressed])
def test_bytes_that_cannot_be_what_was_said_end_the_transfer(tmp_path: Path, tamper: object) -> None:
    assert callable(tamper)
    with place_in(tmp_path) as place, Relay(place.gateway.port, tamper=tamper) as relay:
        make_logs(place.source)
        with pytest.raises(PynetError):
            Controller(port=relay.port).get_files(
                f"{place.source}/", place.down, options=Options(compress="always"), pairs=1
            )
        assert not (place.down / "logs/large.log").exists() or tamper is lie_about_pack

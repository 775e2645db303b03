"""Files side by side: none has its name before it is whole, and nothing in the way is followed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pynet_core.transfer.digest import HASHERS, agree, digest_of
from pynet_core.transfer.flat import PIECE_BYTES, Flat, FlatPart
from pynet_core.transfer.folder import MANY_FILES, CannotStore, Folder
from pynet_core.transfer.folders import Folders
from pynet_core.transfer.jail import PART_SUFFIX, PathRefused
from pynet_core.transfer.messages import FILE, FOLDER, LINK, Node
from pynet_core.transfer.positions import write_at
from tests.core.loopback import open_files

MTIME_NS = 1_600_000_000_123_456_789
DIGEST = "blake2b-128"


@pytest.fixture
def flat(tmp_path: Path) -> Iterator[Flat]:
    before = open_files()
    with contextlib.closing(Flat(Folder(tmp_path / "down"), keeps_parts=True)) as flat:
        yield flat
    assert open_files() == before


@pytest.fixture
def folder(flat: Flat) -> Folder:
    return flat.store


def node_of(name: str = "file", size: int = 6, mtime_ns: int = MTIME_NS) -> Node:
    return Node(os.fsencode(name), FILE, size, mtime_ns, 0, 0, 0o600)


def part_of(flat: Flat, name: str = "file", size: int = 6) -> FlatPart:
    return flat.part(node_of(name, size))


def write(part: FlatPart, offset: int, data: bytes) -> None:
    write_at(part.fd, data, offset)


def land(flat: Flat, part: FlatPart) -> None:
    part.land(Folders(flat))


def names_in(folder: Folder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


def test_pieces_in_any_order_make_a_file_with_its_time(flat: Flat, folder: Folder) -> None:
    part = part_of(flat)
    write(part, 3, b"def")
    assert names_in(folder) == {"file" + PART_SUFFIX}
    write(part, 0, b"abc")
    land(flat, part)
    assert names_in(folder) == {"file"}
    assert (folder.path / "file").read_bytes() == b"abcdef"
    assert (folder.path / "file").stat().st_mtime_ns == MTIME_NS


def test_it_takes_the_place_of_an_older_file_in_one_step(flat: Flat, folder: Folder) -> None:
    old = folder.path / "file"
    old.write_text("old")
    with old.open() as reader:
        part = part_of(flat)
        write(part, 0, b"abcdef")
        assert old.read_text() == "old"
        land(flat, part)
        assert reader.read() == "old"  # who has it open keeps it
    assert old.read_text() == "abcdef"


def test_what_an_earlier_part_holds_can_be_compared_piece_by_piece(flat: Flat, folder: Folder) -> None:
    part = part_of(flat)
    write(part, 0, b"abc")
    part.abandon(keep=True)
    again = part_of(flat)
    assert again.digest(DIGEST, 0, 3) == digest_of(DIGEST, b"abc")
    assert again.digest(DIGEST, 1, 2) == digest_of(DIGEST, b"bc")
    assert again.digest(DIGEST, 0, 4) == again.digest(DIGEST, 3, 3) == b""
    again.abandon(keep=False)


def test_an_earlier_part_that_was_longer_leaves_nothing(flat: Flat, folder: Folder) -> None:
    (folder.path / ("file" + PART_SUFFIX)).write_bytes(b"x" * 1000)
    part = part_of(flat)
    write(part, 0, b"abcdef")
    land(flat, part)
    assert (folder.path / "file").read_bytes() == b"abcdef"


def test_an_empty_part_is_not_worth_keeping(flat: Flat, folder: Folder) -> None:
    part_of(flat).abandon(keep=True)
    assert names_in(folder) == set()


def test_an_empty_file_and_the_longest_name_land(flat: Flat, folder: Folder) -> None:
    for name in ("empty", "n" * 255):
        part = part_of(flat, name, size=0)
        write(part, 0, b"")
        land(flat, part)
    assert names_in(folder) == {"empty", "n" * 255}


@pytest.mark.parametrize("kind", ["symbolic", "dangling", "hard"])
def test_a_link_in_the_parts_place_is_removed_and_what_it_leads_to_is_left_alone(
    kind: str, flat: Flat, folder: Folder, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    place = folder.path / ("file" + PART_SUFFIX)
    if kind == "hard":
        place.hardlink_to(precious)
    else:
        place.symlink_to(precious if kind == "symbolic" else tmp_path / "nothing")
    part = part_of(flat)
    write(part, 0, b"abcdef")
    land(flat, part)
    assert precious.read_text() == "precious"
    assert not (tmp_path / "nothing").exists()
    assert (folder.path / "file").read_bytes() == b"abcdef"


def test_a_link_in_the_files_place_is_replaced_and_not_followed(
    flat: Flat, folder: Folder, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (folder.path / "file").symlink_to(precious)
    part = part_of(flat)
    write(part, 0, b"abcdef")
    land(flat, part)
    assert precious.read_text() == "precious"
    assert not (folder.path / "file").is_symlink()


def test_a_pipe_in_the_parts_place_does_not_make_it_wait(flat: Flat, folder: Folder) -> None:
    os.mkfifo(folder.path / ("file" + PART_SUFFIX))
    part = part_of(flat)
    write(part, 0, b"abcdef")
    land(flat, part)
    assert (folder.path / "file").read_bytes() == b"abcdef"


def test_a_folder_in_the_parts_place_is_told(flat: Flat, folder: Folder) -> None:
    (folder.path / ("file" + PART_SUFFIX)).mkdir()
    with pytest.raises(CannotStore, match="Is a directory"):
        part_of(flat)


def test_a_folder_of_that_name_is_told_and_the_part_is_gone(flat: Flat, folder: Folder) -> None:
    (folder.path / "file").mkdir()
    part = part_of(flat)
    write(part, 0, b"abcdef")
    with pytest.raises(CannotStore, match="a folder of that name"):
        land(flat, part)
    assert names_in(folder) == {"file"}


def test_a_second_transfer_of_the_same_file_is_refused_while_the_first_lasts(
    flat: Flat, folder: Folder
) -> None:
    first = part_of(flat)
    with pytest.raises(CannotStore, match="another transfer"):
        part_of(flat)
    write(first, 0, b"abcdef")
    land(flat, first)
    second = part_of(flat)
    second.abandon(keep=False)
    assert names_in(folder) == {"file"}


def test_two_names_that_are_one_to_the_file_system_do_not_overwrite_each_other(
    flat: Flat, folder: Folder
) -> None:
    """As on a memory stick, where `readme` is `README`: the second is told, the first stays."""
    first = part_of(flat, "README")
    write(first, 0, b"abcdef")
    land(flat, first)
    second = part_of(flat, "readme")
    write(second, 0, b"ghijkl")
    (folder.path / "readme").hardlink_to(folder.path / "README")  # what such a file system shows
    with pytest.raises(CannotStore, match="'README' has just taken that name"):
        land(flat, second)
    assert (folder.path / "README").read_bytes() == b"abcdef"


def test_a_time_that_no_clock_shows_is_told(flat: Flat, folder: Folder) -> None:
    part = flat.part(node_of(size=0, mtime_ns=2**63 - 1))
    with contextlib.suppress(CannotStore):  # whether it fits is up to the file system
        land(flat, part)
    assert names_in(folder) <= {"file"}


@pytest.mark.parametrize("count", [0, 1, MANY_FILES])
def test_files_can_be_made_to_last_and_missing_ones_do_no_harm(
    count: int, flat: Flat, folder: Folder
) -> None:
    names = [f"file{number}" for number in range(count)]
    for name in names[1:]:
        (folder.path / name).write_text(name)
    folder.sync(names)


def test_of_an_earlier_part_the_whole_pieces_are_offered_to_be_compared(flat: Flat, folder: Folder) -> None:
    size = 2 * PIECE_BYTES + 1000
    assert not flat.claims(node_of(size=size))
    part = folder.path / ("file" + PART_SUFFIX)
    part.touch()
    for here, pieces in ((PIECE_BYTES - 1, 0), (PIECE_BYTES, 1), (size - 1, 2), (size, 3), (9 * size, 3)):
        os.truncate(part, here)
        claims = flat.claims(node_of(size=size))
        assert [offset for offset, _ in claims] == [number * PIECE_BYTES for number in range(pieces)]
        assert sum(length for _, length in claims) == min(pieces * PIECE_BYTES, size)
    assert len(flat.claims(node_of(size=2**63 - 1))) == 9 * size // PIECE_BYTES  # whatever a peer says


@pytest.mark.parametrize("keeps", [False, True])
def test_parts_stay_for_another_attempt_only_where_they_may(keeps: bool, tmp_path: Path) -> None:
    with contextlib.closing(Flat(Folder(tmp_path), keeps_parts=keeps)) as flat:
        part = part_of(flat)
        write(part, 0, b"abc")
        part.abandon(keep=True)
    assert len(list(tmp_path.iterdir())) == keeps


@pytest.mark.parametrize("kind", [FOLDER, LINK])
def test_there_are_only_files(kind: int, flat: Flat) -> None:
    node = Node(b"x", kind, 0, 0, 0, 0, 0o755)
    with pytest.raises(PathRefused):
        (flat.folder if kind == FOLDER else flat.link)(node, Folders(flat))
    with pytest.raises(PathRefused):
        flat.present(b"a/b", Folders(flat))
    assert names_in(flat.store) == set()


def test_both_ends_agree_on_the_best_digest_that_both_know() -> None:
    assert list(HASHERS) == ["xxh3-128", "blake2b-128"]
    assert agree(["md5", "blake2b-128", "xxh3-128"]) == "xxh3-128"
    assert agree(["blake2b-128", "crc32"]) == "blake2b-128"
    assert agree(["md5"]) is None
    assert all(len(digest_of(name, b"abc")) == 16 for name in HASHERS)

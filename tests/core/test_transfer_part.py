"""One part: nothing has its final name before all of it is verified, and nothing in the way is followed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pynet_core.transfer.digest import HASHERS, agree, digest_of
from pynet_core.transfer.folder import MANY_FILES, CannotStore, Folder
from pynet_core.transfer.jail import PART_SUFFIX
from pynet_core.transfer.messages import Version
from pynet_core.transfer.part import Corrupted, Part
from tests.core.loopback import open_files

MTIME_NS = 1_600_000_000_123_456_789
DIGEST = "blake2b-128"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    before = open_files()
    with contextlib.closing(Folder(tmp_path / "down")) as folder:
        yield folder
    assert open_files() == before


def part_of(folder: Folder, name: str = "file", size: int = 6) -> Part:
    return Part(folder, name, Version(size=size, mtime_ns=MTIME_NS))


def write(part: Part, offset: int, data: bytes) -> None:
    part.write(offset, memoryview(data), DIGEST, digest_of(DIGEST, data))


def names_in(folder: Folder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


def test_pieces_in_any_order_make_a_file_with_its_time(folder: Folder) -> None:
    part = part_of(folder)
    write(part, 3, b"def")
    assert names_in(folder) == {"file" + PART_SUFFIX}
    write(part, 0, b"abc")
    part.land({})
    assert names_in(folder) == {"file"}
    assert (folder.path / "file").read_bytes() == b"abcdef"
    assert (folder.path / "file").stat().st_mtime_ns == MTIME_NS


def test_zeros_at_the_end_take_no_room_and_zeros_over_something_else_are_written(folder: Folder) -> None:
    size = 1 << 20
    part = part_of(folder, size=3 * size)
    write(part, 0, b"x" * size)
    write(part, 0, bytes(size))
    write(part, 2 * size, bytes(size))
    write(part, size, bytes(size))
    part.land({})
    assert (folder.path / "file").read_bytes() == bytes(3 * size)
    assert (folder.path / "file").stat().st_blocks * 512 < 2.5 * size


def test_it_takes_the_place_of_an_older_file_in_one_step(folder: Folder) -> None:
    old = folder.path / "file"
    old.write_text("old")
    with old.open() as reader:
        part = part_of(folder)
        write(part, 0, b"abcdef")
        assert old.read_text() == "old"
        part.land({})
        assert reader.read() == "old"  # who has it open keeps it
    assert old.read_text() == "abcdef"


def test_bytes_that_are_not_those_that_were_sent_are_found(folder: Folder) -> None:
    part = part_of(folder)
    with pytest.raises(Corrupted, match="arrived corrupted"):
        part.write(0, memoryview(b"abX"), DIGEST, digest_of(DIGEST, b"abc"))
    part.abandon(keep=False)
    assert names_in(folder) == set()


def test_what_an_earlier_part_holds_can_be_compared_piece_by_piece(folder: Folder) -> None:
    part = part_of(folder)
    write(part, 0, b"abc")
    part.abandon(keep=True)
    again = part_of(folder)
    assert again.digest(DIGEST, 0, 3) == digest_of(DIGEST, b"abc")
    assert again.digest(DIGEST, 1, 2) == digest_of(DIGEST, b"bc")
    assert again.digest(DIGEST, 0, 4) == again.digest(DIGEST, 3, 3) == b""
    again.abandon(keep=False)


def test_an_earlier_part_that_was_longer_leaves_nothing(folder: Folder) -> None:
    (folder.path / ("file" + PART_SUFFIX)).write_bytes(b"x" * 1000)
    part = part_of(folder)
    write(part, 0, b"abcdef")
    part.land({})
    assert (folder.path / "file").read_bytes() == b"abcdef"


def test_an_empty_part_is_not_worth_keeping(folder: Folder) -> None:
    part_of(folder).abandon(keep=True)
    assert names_in(folder) == set()


def test_an_empty_file_and_the_longest_name_land(folder: Folder) -> None:
    for name in ("empty", "n" * 255):
        part = part_of(folder, name, size=0)
        write(part, 0, b"")
        part.land({})
    assert names_in(folder) == {"empty", "n" * 255}


@pytest.mark.parametrize("kind", ["symbolic", "dangling", "hard"])
def test_a_link_in_the_parts_place_is_removed_and_what_it_leads_to_is_left_alone(
    kind: str, folder: Folder, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    place = folder.path / ("file" + PART_SUFFIX)
    if kind == "hard":
        place.hardlink_to(precious)
    else:
        place.symlink_to(precious if kind == "symbolic" else tmp_path / "nothing")
    part = part_of(folder)
    write(part, 0, b"abcdef")
    part.land({})
    assert precious.read_text() == "precious"
    assert not (tmp_path / "nothing").exists()
    assert (folder.path / "file").read_bytes() == b"abcdef"


def test_a_link_in_the_files_place_is_replaced_and_not_followed(folder: Folder, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (folder.path / "file").symlink_to(precious)
    part = part_of(folder)
    write(part, 0, b"abcdef")
    part.land({})
    assert precious.read_text() == "precious"
    assert not (folder.path / "file").is_symlink()


def test_a_pipe_in_the_parts_place_does_not_make_it_wait(folder: Folder) -> None:
    os.mkfifo(folder.path / ("file" + PART_SUFFIX))
    part = part_of(folder)
    write(part, 0, b"abcdef")
    part.land({})
    assert (folder.path / "file").read_bytes() == b"abcdef"


def test_a_folder_in_the_parts_place_is_told(folder: Folder) -> None:
    (folder.path / ("file" + PART_SUFFIX)).mkdir()
    with pytest.raises(CannotStore, match="Is a directory"):
        part_of(folder)


def test_a_folder_of_that_name_is_told_and_the_part_is_gone(folder: Folder) -> None:
    (folder.path / "file").mkdir()
    part = part_of(folder)
    write(part, 0, b"abcdef")
    with pytest.raises(CannotStore, match="a folder of that name"):
        part.land({})
    assert names_in(folder) == {"file"}


def test_a_second_transfer_of_the_same_file_is_refused_while_the_first_lasts(folder: Folder) -> None:
    first = part_of(folder)
    with pytest.raises(CannotStore, match="another transfer"):
        part_of(folder)
    write(first, 0, b"abcdef")
    first.land({})
    second = part_of(folder)
    second.abandon(keep=False)
    assert names_in(folder) == {"file"}


def test_two_names_that_are_one_to_the_file_system_do_not_overwrite_each_other(folder: Folder) -> None:
    """As on a memory stick, where `readme` is `README`: the second is told, the first stays."""
    first = part_of(folder, "README")
    write(first, 0, b"abcdef")
    landed = {first.land({}): "README"}
    second = part_of(folder, "readme")
    write(second, 0, b"ghijkl")
    (folder.path / "readme").hardlink_to(folder.path / "README")  # what such a file system shows
    with pytest.raises(CannotStore, match="'README' has just taken that name"):
        second.land(landed)
    assert (folder.path / "README").read_bytes() == b"abcdef"


def test_a_time_that_no_clock_shows_is_told(folder: Folder) -> None:
    part = Part(folder, "file", Version(size=0, mtime_ns=2**63 - 1))
    with contextlib.suppress(CannotStore):  # whether it fits is up to the file system
        part.land({})
    assert names_in(folder) <= {"file"}


@pytest.mark.parametrize("count", [0, 1, MANY_FILES])
def test_files_can_be_made_to_last_and_missing_ones_do_no_harm(count: int, folder: Folder) -> None:
    names = [f"file{number}" for number in range(count)]
    for name in names[1:]:
        (folder.path / name).write_text(name)
    folder.sync(names)


def test_both_ends_agree_on_the_best_digest_that_both_know() -> None:
    assert list(HASHERS) == ["xxh3-128", "blake2b-128"]
    assert agree(["md5", "blake2b-128", "xxh3-128"]) == "xxh3-128"
    assert agree(["blake2b-128", "crc32"]) == "blake2b-128"
    assert agree(["md5"]) is None
    assert all(len(digest_of(name, b"abc")) == 16 for name in HASHERS)

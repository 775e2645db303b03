"""The path jail: no name leads out of a folder, whatever it looks like and whatever stands in the way."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pynet_core.transfer import folder as folder_room
from pynet_core.transfer import jail
from pynet_core.transfer.folder import CannotStore, Folder
from pynet_core.transfer.jail import (
    MAX_NAME_BYTES,
    PART_SUFFIX,
    NoRegularFile,
    PathRefused,
    Roots,
    folder_parts,
    landing_name,
    part_name,
)
from tests.core.loopback import open_files

# Names that have led out of folders before, on one system or another.
EVIL: Final = [
    b"",
    b".",
    b"..",
    b"/etc/passwd",
    b"../x",
    b"..\\x",
    b"a/../../x",
    b"a/b",
    b"a\\b",
    b"\\\\server\\share\\x",
    b"C:x",
    b"c:\\x",
    b"C:/x",
    b"a\0b",
    b"\0",
    b"x.pynet.part",
    b"x.PyNet.Part",
    b"n" * 256,
]
# And some that only look as if: they are names, and nothing else.
HARMLESS: Final = [
    "...",
    "..x",
    "x..",
    " ",
    "-rf",
    "~",
    "$HOME",
    "%2e%2e%2f",
    "ab:c",
    "12:30:00.log",
    "CON",
    "aux.c",
    "‥",  # one character that looks like two dots
    "․․",
    "a∕b",  # U+2215, not a slash
    "a／b",  # full width
    "x\u202egpj.exe",  # written from right to left
    "\u0065\u0301",
    "a\nb",
    "\x1b[31m",
    os.fsdecode(b"\xff\xfe"),
    os.fsdecode(b"\xc0\xae\xc0\xae"),  # two dots, overlong
    "n" * 255,
]

# The last ones are the same as others, or as a slash or a dot, to who compares or normalises carelessly.
SNIPPETS: Final = [
    *"./\\\0:ab ~",
    "..",
    "../",
    "..\\",
    "C:",
    "\udcff",
    PART_SUFFIX,
    *"ABÉé‥．∕／＼ſıK\u0301\u202e",
]
hostile_names = (
    st.lists(st.sampled_from(SNIPPETS), max_size=12).map("".join).map(os.fsencode)
    | st.binary(max_size=40)
    | st.sampled_from(EVIL)
)


@pytest.fixture(params=["by descriptor", "by path"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a system cannot open things below a descriptor (Windows), paths are checked instead."""
    if request.param == "by path":
        monkeypatch.setattr(jail, "HAS_DIR_FD", False)
        monkeypatch.setattr(folder_room, "HAS_DIR_FD", False)
    return str(request.param)


# Names


@pytest.mark.parametrize("name", EVIL)
def test_a_name_that_could_lead_elsewhere_is_refused(name: bytes) -> None:
    with pytest.raises(PathRefused):
        landing_name(name)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_name_that_is_merely_odd_is_taken_as_it_is(name: str) -> None:
    assert landing_name(os.fsencode(name), windows=False) == name


@pytest.mark.parametrize(
    "name",
    [
        "CON",
        "nul",
        "aux.c",
        "COM1",
        "com1.tar.gz",
        "LPT9 .txt",
        "COM¹",
        "ab:c",
        "a?",
        "a*",
        "<",
        "x.",
        "x ",
        "\t",
    ],
)
def test_what_windows_takes_for_something_else_is_refused_there(name: str) -> None:
    with pytest.raises(PathRefused, match="Windows"):
        landing_name(name.encode(), windows=True)


@pytest.mark.parametrize("name", ["CONSOLE", "com", "COM10", "auxiliary.c", "é", "a b.txt"])
def test_windows_takes_ordinary_names(name: str) -> None:
    assert landing_name(name.encode(), windows=True) == name


@settings(max_examples=300)
@given(st.lists(hostile_names, min_size=8, max_size=8), st.booleans())
def test_what_is_taken_is_one_step_down(names: list[bytes], windows: bool) -> None:
    for name in names:
        with contextlib.suppress(PathRefused):
            taken = landing_name(name, windows=windows)
            assert os.fsencode(taken) == name
            for form in (taken, unicodedata.normalize("NFC", taken), taken.casefold()):
                assert os.path.normpath(f"/jail/{form}") == f"/jail/{form}"
            assert not set(taken) & set("/\\\0")


@pytest.mark.parametrize("path", ["", ".", "./", "a", "a/b", "a//b/", "./a/./b"])
def test_a_relative_folder_is_taken_apart(path: str) -> None:
    assert folder_parts(path) == tuple(part for part in path.split("/") if part not in ("", "."))


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "//a", "..", "a/..", "a/../b", "a\\b", "C:", "C:/a", "a/C:x", "a\0b", "a/x.pynet.part"],
)
def test_a_folder_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(PathRefused):
        folder_parts(path)


@given(st.text(alphabet="aé𝄞\udc80", min_size=1, max_size=255))
def test_a_part_has_a_name_of_its_own_that_every_file_system_takes(name: str) -> None:
    part = part_name(name)
    assert len(os.fsencode(part)) <= MAX_NAME_BYTES
    assert part == part_name(name)
    with pytest.raises(PathRefused):
        landing_name(os.fsencode(part))


def test_long_names_that_begin_alike_have_parts_of_their_own() -> None:
    assert part_name("n" * 250 + "a") != part_name("n" * 250 + "b")


# Reading


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A root with everything in it that a peer could try, and secrets beside it."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "rootbeer").mkdir()
    (tmp_path / "rootbeer/secret").write_text("secret")
    root = tmp_path / "root"
    (root / "sub/deep").mkdir(parents=True)
    (root / "file").write_text("file")
    (root / "sub/deep/file").write_text("deep")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to("..")
    (root / "sub/in").symlink_to("../file")
    (root / "inside").symlink_to("sub")
    (root / "nowhere").symlink_to("nothing")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        here = Path.cwd()
        os.chdir(root)  # a socket's path may have 108 bytes only
        try:
            sock.bind("socket")
        finally:
            os.chdir(here)
    return root


def read(roots: Roots, path: str | bytes | Path) -> str:
    fd = roots.open(roots.full_path(os.fsencode(path)))
    with os.fdopen(fd) as file:
        return file.read()


def test_files_below_a_root_can_be_read(world: Path, way: str) -> None:
    roots = Roots([world])
    assert read(roots, world / "file") == "file"
    assert read(roots, f"{world}/./sub//deep/file") == "deep"


def test_a_root_may_be_given_by_a_roundabout_path(world: Path, way: str) -> None:
    assert read(Roots([world / "sub/../../root/."]), world / "file") == "file"


def test_a_root_may_itself_be_a_link(world: Path, tmp_path: Path, way: str) -> None:
    (tmp_path / "alias").symlink_to(world)
    assert read(Roots([tmp_path / "alias"]), tmp_path / "alias/sub/deep/file") == "deep"


@pytest.mark.parametrize(
    "path",
    [
        "{root}/../secret",
        "{root}/sub/../../secret",
        "{root}/up/secret",
        "{root}/out",
        "{root}/sub/in",  # leads inside, but who checks may be too slow
        "{root}/inside/deep/file",
        "{root}beer/secret",
        "{root}/file\0.txt",
        "{root}",
        "{root}/sub",
        "{root}/pipe",
        "{root}/socket",
        "{root}/nowhere",
        "{root}/nothing",
        "{root}/file/x",
        "/etc/passwd",
        "/dev/null",
        "/",
        "",
        "file",
        "root/file",
    ],
)
def test_nothing_else_can_be_read_and_nothing_blocks(path: str, world: Path, way: str) -> None:
    with pytest.raises((PathRefused, NoRegularFile, OSError)):
        read(Roots([world]), path.format(root=world))


def test_without_roots_all_regular_files_can_be_read_through_links_too(world: Path) -> None:
    everything = Roots(None)
    assert read(everything, world.parent / "secret") == "secret"
    assert read(everything, world / "up/secret") == "secret"
    assert read(everything, world / "out") == "secret"
    for other in ("pipe", "socket", "sub"):
        with pytest.raises(NoRegularFile):
            read(everything, world / other)


def test_no_roots_at_all_means_nothing(world: Path) -> None:
    with pytest.raises(PathRefused):
        read(Roots([]), world / "file")


def test_a_file_that_becomes_a_link_between_look_and_open_is_not_followed(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is deceived by hand: what counts is how it is opened."""
    regular = (world / "file").stat()
    monkeypatch.setattr(Roots, "stat", lambda *_: regular)
    with pytest.raises(OSError, match="symbolic links") as caught:
        read(Roots([world]), world / "out")
    assert caught.value.errno == errno.ELOOP


def test_a_folder_shows_what_is_in_it_by_name_and_follows_nothing(world: Path, way: str) -> None:
    seen = dict(Roots([world]).scan(world))
    assert list(seen) == sorted(world.iterdir())
    for name in ("out", "up", "inside", "nowhere"):
        found = seen[world / name]
        assert isinstance(found, os.stat_result)
        assert stat.S_ISLNK(found.st_mode)


@pytest.mark.parametrize("name", ["up", "inside", "../rootbeer", "..", "file", "nothing", "pipe"])
def test_no_other_folder_shows_anything(name: str, world: Path, way: str) -> None:
    roots = Roots([world])
    with pytest.raises((PathRefused, OSError)):
        list(roots.scan(roots.full_path(os.fsencode(world / name))))


@pytest.mark.parametrize(
    "path", ["file", "out", "sub/in", "up/secret", "pipe", "sub/deep/file", "inside/deep/file", "nothing/x"]
)
def test_no_descriptor_is_left_open(path: str, world: Path) -> None:
    roots = Roots([world])
    before = open_files()
    with contextlib.suppress(PathRefused, NoRegularFile, OSError):
        read(roots, world / path)
    with contextlib.suppress(PathRefused, OSError):
        next(roots.scan(world / path))
    assert open_files() == before


# Writing


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder that must stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    before = folder.stat()
    yield folder
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("precious", "precious")]
    assert folder.stat().st_mtime_ns == before.st_mtime_ns


def test_a_folder_is_made_with_its_steps(tmp_path: Path, way: str) -> None:
    folder = Folder(tmp_path / "a/b", ["c", "d"])
    assert folder.path == tmp_path / "a/b/c/d"
    assert folder.path.is_dir()
    folder.close()


def test_the_owners_own_path_may_be_a_link(tmp_path: Path, outside: Path, way: str) -> None:
    (tmp_path / "link").symlink_to(outside)
    Folder(tmp_path / "link").close()


def test_a_step_that_is_a_link_is_not_taken(tmp_path: Path, outside: Path, way: str) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/link").symlink_to(outside)
    with pytest.raises(CannotStore, match="cannot use the folder"):
        Folder(tmp_path / "downloads", ["link", "x"])


@pytest.mark.parametrize("steps", [[], ["x"]])
def test_a_file_in_the_place_of_a_folder_is_told(steps: list[str], tmp_path: Path, way: str) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(CannotStore, match=r"cannot use the folder .*x': "):
        Folder(tmp_path if steps else tmp_path / "x", steps)


@pytest.mark.slow
@settings(max_examples=200)
@given(names=st.lists(hostile_names, min_size=10, max_size=10))
@example(names=[b"../outside/precious", b"..", b".", b"/", b"../outside", b"x/../../outside/precious"])
def test_two_thousand_names_make_and_change_nothing_outside(
    names: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = _base(tmp_path_factory)
    with contextlib.closing(Folder(base / "jail")) as place:
        for name in names:
            with contextlib.suppress(PathRefused):
                wanted = landing_name(name)
                for one in (wanted, part_name(wanted)):
                    # As a folder it may be there already, from an earlier name.
                    with contextlib.suppress(IsADirectoryError):
                        os.close(place.open(one, os.O_RDWR | os.O_CREAT))
                        place.remove(one)
            with contextlib.suppress(PathRefused, CannotStore):
                inner = Folder(base / "jail", folder_parts(os.fsdecode(name)))
                inner.close()
                assert inner.path.is_relative_to(base / "jail")
    assert {path.name for path in base.iterdir()} == {"jail", "outside"}
    assert [path.read_text() for path in (base / "outside").iterdir()] == ["precious"]


_bases: list[Path] = []


def _base(factory: pytest.TempPathFactory) -> Path:
    """One for all examples: a folder each would be most of the work."""
    if not _bases:
        base = factory.mktemp("names")
        for name in ("jail", "outside"):
            (base / name).mkdir()
        (base / "outside/precious").write_text("precious")
        _bases.append(base)
    return _bases[0]

"""Trees and bad luck: what must not be lost, overwritten or deleted, and what must not stop the rest."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynet_core.controller import Controller
from pynet_core.errors import FilesError, LinkClosed, PynetError, SubroutineError
from pynet_core.transfer.digest import HASHERS
from pynet_core.transfer.folder import Folder
from pynet_core.transfer.ground import Ground
from pynet_core.transfer.intake import Intake
from pynet_core.transfer.messages import FILE, Node, Nodes
from pynet_core.transfer.options import Options, TreeProgress
from pynet_core.transfer.tree_part import JOURNAL, claims_of, staged_name
from pynet_core.transfer.tree_putting import reason_of
from pynet_core.wire import Frame, Kind
from tests.core.file_place import Place, make, place_in
from tests.core.loopback import FakeGateway, eventually, serving

MOVE = Options(delete_source=True)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path, max_poolsize=20, allow_remove=True) as place:
        yield place


@pytest.fixture
def controller(place: Place) -> Controller:
    return Controller(port=place.gateway.port)


def move(place: Place, controller: Controller, way: str, *sources: str) -> None:
    if way == "get":
        controller.get_files(sources, place.down, options=MOVE)
    else:
        controller.put_files(sources, options=MOVE)


@pytest.mark.parametrize("way", ["get", "put"])
def test_of_two_sources_files_of_one_name_the_second_is_told_and_stays(
    way: str, place: Place, controller: Controller
) -> None:
    for folder in "xy":
        (place.source / folder).mkdir()
        (place.source / folder / "report").write_text(folder)
    sources = [f"{place.source}/{folder}/report" for folder in "xy"]
    with pytest.raises(FilesError) as caught:
        move(place, controller, way, *sources)
    assert caught.value.failed == {sources[1]: f"lands under the same name as {sources[0]}"}
    assert ((place.down if way == "get" else place.up) / "report").read_text() == "x"
    assert (place.source / "y/report").read_text() == "y"


@pytest.mark.parametrize("way", ["get", "put"])
def test_a_file_that_is_moved_onto_itself_stays(way: str, place: Place, controller: Controller) -> None:
    there = place.down if way == "get" else place.up
    there.mkdir()
    (there / "only").write_text("one")
    with pytest.raises(FilesError, match="the very file"):
        move(place, controller, way, f"{there}/")
    assert (there / "only").read_text() == "one"


def test_an_empty_path_is_not_all_that_is_here(controller: Controller) -> None:
    for call in (controller.get_files, controller.put_files):
        with pytest.raises(ValueError, match="empty"):
            call([""])


@pytest.mark.parametrize("way", ["get", "put"])
def test_folders_may_lie_in_each_other_deeper_than_python_recurses(
    way: str, place: Place, controller: Controller
) -> None:
    above = os.open(place.source, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=above)
        inner = os.open("d", os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=above))
    os.close(above)
    every = Options(select=lambda found: True)
    try:
        if way == "get":
            moved = controller.get_files(f"{place.source}/", place.down, options=every)
        else:
            moved = controller.put_files(f"{place.source}/", options=every)
            with contextlib.suppress(FilesError):  # of Pythons before 3.13: too many folders in each other
                controller.remove_files("d", recursive=True)
    finally:  # shutil.rmtree, which pytest clears up by, recurses
        subprocess.run(["rm", "-r", *place.source.parent.glob("*/d")], check=True)
    assert (moved.files, moved.folders) == (1, 1100)


@pytest.mark.parametrize("way", ["get", "put", "flat"])
def test_what_the_disk_does_not_give_costs_its_own_file(
    way: str, place: Place, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = make(place.source, "bad", "good", size=3_000_000)
    inode, preadv = bad.stat().st_ino, os.preadv

    def failing(fd: int, buffers: Any, offset: int) -> int:
        if os.fstat(fd).st_ino == inode and offset >= 1_000_000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(FilesError) as caught:
        if way == "flat":
            with place.client_of() as client:
                client.get_files_from_gateway(folder=place.source)
        elif way == "get":
            controller.get_files(f"{place.source}/", place.down)
        else:
            controller.put_files(f"{place.source}/")
    assert caught.value.failed == {str(bad): "Input/output error"}
    assert ((place.up if way == "put" else place.down) / good.name).read_bytes() == good.read_bytes()


@pytest.mark.parametrize("way", ["get", "put"])
def test_who_waits_for_the_limit_is_let_go_when_the_caller_has_had_enough(
    way: str, place: Place, controller: Controller
) -> None:
    make(place.source, "large", size=8_000_000)
    slow = Options(limit_bytes_per_s=1000)  # its first piece would be paid for by waiting for many minutes

    def enough(now: TreeProgress) -> None:
        if now.elapsed_s > 0.3:
            raise KeyboardInterrupt

    began_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        if way == "get":
            controller.get_files(f"{place.source}/", place.down, options=slow, on_progress=enough)
        else:
            controller.put_files(f"{place.source}/", options=slow, on_progress=enough)
    assert time.monotonic() - began_s < 30


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="of the file systems only some have such times")
def test_a_time_that_cannot_travel_costs_its_own_file(place: Place, controller: Controller) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as source:
        odd, good = make(Path(source), "odd", "good")
        os.utime(odd, (1e12, 1e12))
        why = {str(odd): "has a time more than 292 years from 1970"}
        with pytest.raises(FilesError) as caught:
            controller.get_files(f"{source}/", place.down)
        assert caught.value.failed == why
        with place.client_of() as client, pytest.raises(FilesError) as caught:
            client.get_files_from_gateway(folder=source)
        assert caught.value.failed == why
        assert (place.down / good.name).exists()


def test_what_was_named_and_is_no_file_has_not_arrived(place: Place, controller: Controller) -> None:
    (place.source / "link").symlink_to("nowhere")
    os.mkfifo(place.source / "pipe")
    with pytest.raises(FilesError) as caught:
        controller.get_files([place.source / "link", place.source / "pipe"], place.down)
    assert caught.value.failed == {
        str(place.source / "link"): "is a link: name what it leads to",
        str(place.source / "pipe"): "is a device, pipe or socket",
    }
    assert controller.get_files(f"{place.source}/", place.down), "met in a folder they are skipped"


def test_what_others_have_left_unfinished_in_a_source_is_skipped(
    place: Place, controller: Controller
) -> None:
    make(place.source, "a", ".0123.pynet.part/part", "b.pynet.part")
    moved = controller.get_files(f"{place.source}/", place.down)
    assert (moved.files, len(moved.skipped)) == (1, 2)


def test_a_path_of_ones_own_may_go_up(
    place: Place, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(place.source, "a", "in/b")
    monkeypatch.chdir(place.source / "in")
    controller.put_files(["../a", ".."])
    with place.client_of() as client:
        client.send_files_to_gateway("flat", ["../a"])
    landed = {str(path.relative_to(place.up)) for path in place.up.rglob("*") if path.is_file()}
    assert landed == {"a", "flat/a", "source/a", "source/in/b"}


@pytest.mark.parametrize("options", [{"symlinks": "follow"}, {"fsync": "always"}, {"compress": "zstd"}])
def test_an_option_that_is_none_is_told_with_those_that_are(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is one of"):
        Options(**options)


def test_a_journal_of_nonsense_claims_nothing(tmp_path: Path) -> None:
    node = Node(b"f", FILE, 2_000_000, 1, 1, 1, 0o644)
    (tmp_path / f"{staged_name(node)}{JOURNAL}").write_bytes(b"9" * 5000 + b" 1\n0 1\n")
    staging = os.open(tmp_path, os.O_RDONLY)
    assert not claims_of(staging, node)
    os.close(staging)


def test_of_several_gateways_one_may_talk_nonsense(place: Place) -> None:
    make(place.source, *(f"{number}" for number in range(200)), size=10_000)

    def serve() -> None:
        with gateway.accept_and_welcome() as peer:
            peer.receive()  # FETCH
            peer.receive()  # PULL
            peer.send(Frame(Kind.SEAL, 0, bytes(16)))
            peer.hears_the_end()

    with FakeGateway() as gateway:
        thread = threading.Thread(target=serve)
        thread.start()
        several = [("127.0.0.1", place.gateway.port), ("127.0.0.1", gateway.port)]
        slow = Options(limit_bytes_per_s=2_000_000)  # so that both get work
        moved = Controller().get_files(
            f"{place.source}/", place.down, gateways=several, pairs=2, options=slow
        )
        thread.join()
    assert moved.files == 200


@pytest.mark.parametrize("checksum", [False, True])
def test_what_stands_here_and_cannot_be_read_is_fetched_again(
    checksum: bool, place: Place, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(place.source, "large", size=400_000)
    controller.get_files(f"{place.source}/", place.down)
    ours = (place.down / "large").stat()
    (place.source / "large").chmod(0o600)  # else nobody need look into it
    real = os.open

    def refusing(path: Any, flags: int, *arguments: Any, dir_fd: int | None = None) -> int:
        """As for one who is not root and has not the right."""
        fd = real(path, flags, *arguments, dir_fd=dir_fd)
        if os.fstat(fd).st_ino == ours.st_ino:
            os.close(fd)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return fd

    monkeypatch.setattr(os, "open", refusing)
    assert controller.get_files(f"{place.source}/", place.down, options=Options(checksum=checksum)).files == 1
    monkeypatch.undo()
    assert (place.down / "large").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("way", ["get", "put"])
def test_a_tree_is_not_copied_into_itself(way: str, place: Place, controller: Controller) -> None:
    make(place.source, "a", "here/b")
    within = place.source / "here"
    with serving(download_dir=str(within)) as gateway, pytest.raises(PynetError, match="is where it lands"):
        if way == "get":
            controller.get_files(f"{place.source}/", within)
        else:
            Controller(port=gateway.port).put_files(f"{place.source}/")
    left_out = Options(select=lambda found: found.path != "here")
    assert controller.get_files(f"{place.source}/", within, options=left_out)


def test_where_small_and_capital_are_one_name_the_second_is_told(tmp_path: Path) -> None:
    ground = Ground(Folder(tmp_path), b"key", preserve=True, fsync="none")
    assert not ground.folds
    ground.folds = True  # as on a stick with a FAT
    intake = Intake(ground)
    names = ["a", "A", "é", "e\u0301", "b"]
    nodes = [Node(os.fsencode(name), FILE, 1, 1, 1, number, 0o644) for number, name in enumerate(names)]
    intake.found(Nodes(base=b"/x", digests=list(HASHERS), nodes=nodes))
    intake.close()
    assert intake.moved.failed == {
        "/x/A": "has a name that is one with 'a' here",
        "/x/e\u0301": "has a name that is one with 'é' here",
    }


def test_one_path_to_remove_is_not_the_paths_of_its_letters(place: Place, controller: Controller) -> None:
    make(place.up, "log", "l", "o", "g")
    assert controller.remove_files("log") == 1
    assert sorted(path.name for path in place.up.iterdir()) == ["g", "l", "o"]


def test_a_place_that_cannot_be_keeps_no_pair(place: Place, controller: Controller) -> None:
    with pytest.raises(ValueError, match="null"):
        controller.get_files(place.source, f"{place.down}\0", pairs=3)
    assert eventually(
        lambda: not [one for one in threading.enumerate() if one.name.startswith("pynet files")]
    )


def test_an_upload_whose_gateway_was_begun_anew_has_lost_its_connection() -> None:
    lost = LinkClosed("the peer closed the connection")
    unknown = SubroutineError("put_files", "UnknownTransfer", "there is no such upload")
    refused = SubroutineError("put_files", "CannotStore", "the disk may only be read")
    assert reason_of([unknown, lost]) is lost
    assert reason_of([unknown, lost, refused]) is refused

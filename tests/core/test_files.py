"""Files from and to a gateway, over real sockets, in real folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.errors import FilesError, SubroutineError
from pynet_core.transfer.flat import PIECE_BYTES
from pynet_core.transfer.meter import Progress
from tests.core.file_place import MTIME_NS, Place, assert_arrived, assert_nothing_half, make, place_in
from tests.core.loopback import serving
from tests.core.relay import Relay
from tests.core.trusting import CAR, LAPTOP, trusting


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path) as place:
        yield place


@pytest.fixture
def client(place: Place, client: Client) -> Iterator[Client]:
    with place.client_of() as client:
        yield client


# Which files


def test_a_folders_files_arrive_with_contents_and_times_by_name(place: Place, client: Client) -> None:
    files = make(place.source, "b", "a", "c")
    arrived = client.get_files_from_gateway(folder=str(place.source))
    assert arrived == [str(place.down / name) for name in "abc"]
    assert arrived.skipped == {}
    assert_arrived(files, place.down)


@pytest.mark.parametrize(
    ("regex", "names"),
    [
        (".+ERROR.log", ["1.ERROR.log", "2.ERROR.logs"]),
        (".+ERROR.log$", ["1.ERROR.log"]),
        ("ERROR", []),  # re.match begins at the beginning, and that is the full path
        (".*/source/3", ["3.log"]),
    ],
)
def test_a_regex_is_matched_against_the_full_path_from_its_beginning(
    regex: str, names: list[str], place: Place, client: Client
) -> None:
    make(place.source, "1.ERROR.log", "2.ERROR.logs", "3.log")
    arrived = client.get_files_from_gateway(regex, [], str(place.source))  # as 2.4 has them
    assert [Path(path).name for path in arrived] == names


def test_files_by_full_path_come_in_the_order_asked_for_once_each_and_win_over_a_folder(
    place: Place, client: Client
) -> None:
    b, a, _ = make(place.source, "b", "a", "c")
    arrived = client.get_files_from_gateway(files=[b, a, b], folder=place.source, regex="no")
    assert [Path(path).name for path in arrived] == ["b", "a"]


def test_folders_in_the_folder_are_skipped_and_told_unless_asked_for(place: Place, client: Client) -> None:
    files = make(place.source, "a", "sub/b", "sub/deep/c")
    (place.source / "sub/loop").symlink_to(place.source)
    arrived = client.get_files_from_gateway(folder=place.source)
    assert [Path(path).name for path in arrived] == ["a"]
    assert arrived.skipped == {str(place.source / "sub"): "is no regular file"}
    client.get_files_from_gateway(folder=place.source, recursive=True)
    assert_arrived(files, place.down)


def test_what_is_no_regular_file_is_skipped_and_told(place: Place, client: Client) -> None:
    files = make(place.source, "a")
    os.mkfifo(place.source / "pipe")
    (place.source / "nowhere").symlink_to("nothing")
    arrived = client.get_files_from_gateway(folder=place.source)
    assert set(arrived.skipped) == {str(place.source / "pipe"), str(place.source / "nowhere")}
    arrived = client.get_files_from_gateway(files=[place.source / "pipe", place.source, files[0]])
    assert list(arrived.skipped) == [str(place.source / "pipe"), str(place.source)]
    assert_arrived(files, place.down)


def test_two_files_of_one_name_are_an_error_before_anything_moves(place: Place, client: Client) -> None:
    make(place.source, "a", "x", "sub/x")
    with pytest.raises(FilesError, match="two files of one name") as caught:
        client.get_files_from_gateway(folder=place.source, recursive=True)
    assert list(caught.value.failed) == [str(place.source / "sub/x")]
    assert not place.down.exists()
    client.ping()


def test_a_missing_file_is_named_and_the_others_arrive(place: Place, client: Client) -> None:
    files = make(place.source, "a", "b")
    with pytest.raises(FilesError, match="1 of 3 files did not arrive") as caught:
        client.get_files_from_gateway(files=[files[0], place.source / "no", files[1]])
    assert caught.value.failed == {str(place.source / "no"): "No such file or directory"}
    assert caught.value.arrived == [str(place.down / "a"), str(place.down / "b")]
    assert_arrived(files, place.down)


@pytest.mark.parametrize("folder", ["nothing", "file"])
def test_a_folder_that_cannot_be_listed_is_told_and_the_pair_stays(
    folder: str, place: Place, client: Client
) -> None:
    make(place.source, "file")
    with pytest.raises(SubroutineError, match=f"cannot list .*{folder}"):
        client.get_files_from_gateway(folder=place.source / folder)
    client.ping()


def test_nothing_found_is_an_empty_list_and_makes_no_folder(place: Place, client: Client) -> None:
    assert client.get_files_from_gateway(folder=place.source, regex=".*x") == []
    assert not place.down.exists()


@pytest.mark.slow
def test_a_regex_that_hangs_is_told_within_seconds_and_the_pair_stays(place: Place, client: Client) -> None:
    make(place.source, "," * 200)
    with pytest.raises(SubroutineError, match="regex takes longer"):
        client.get_files_from_gateway("(.*?,){30}P", folder=place.source)
    client.ping()


@pytest.mark.parametrize(
    "names",
    [
        ["é", "\u0065\u0301", "Ünïcödé 日本"],
        [b"\xff\xfe.log", b"latin-\xe9"],
        [" ", "-rf *", "a\nb", "x.part"],
    ],
)
def test_odd_names_travel_as_they_are(names: list[str | bytes], place: Place, client: Client) -> None:
    files = make(place.source, *names)
    client.get_files_from_gateway(folder=place.source)
    assert_arrived(files, place.down)
    client.send_files_to_gateway(files=files)
    assert_arrived(files, place.up)


def test_a_file_whose_name_may_not_land_is_named_and_the_others_arrive(place: Place, client: Client) -> None:
    good, bad = make(place.source, "a", "b\\c")
    with pytest.raises(FilesError) as caught:
        client.get_files_from_gateway(folder=place.source)
    assert caught.value.failed == {str(bad): "has '\\\\' in its name"}
    assert_arrived([good], place.down)


def test_a_file_that_does_not_say_how_long_it_is_is_told(place: Place, client: Client) -> None:
    with pytest.raises(FilesError, match="does not say how long it is"):
        client.get_files_from_gateway(files=["/proc/self/status"])
    assert list(place.down.iterdir()) == []


# Sizes


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 12345])
def test_files_of_every_size_arrive_both_ways(size: int, place: Place, client: Client) -> None:
    files = make(place.source, "a", "b", size=size)
    (place.source / "sparse").touch()
    os.truncate(place.source / "sparse", size)
    files.append(place.source / "sparse")
    client.get_files_from_gateway(folder=place.source)
    assert_arrived(files, place.down)
    client.send_files_to_gateway(files=files)
    assert_arrived(files, place.up)


@pytest.mark.slow
def test_a_thousand_files_arrive_both_ways(place: Place, client: Client) -> None:
    files = make(place.source, *(f"log{number:04}" for number in range(1000)), size=0)
    assert len(client.get_files_from_gateway(folder=place.source)) == 1000
    assert_arrived(files, place.down)
    client.send_files_to_gateway(files=files)
    assert_arrived(files, place.up)


# Where to


def test_the_default_folders_are_downloads_made_when_first_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = make(tmp_path / "source", "a")
    with serving() as gateway, Controller(port=gateway.port).get_client() as client:
        client.ping()
        assert not (tmp_path / "Downloads").exists()
        assert client.get_files_from_gateway(files=files) == [str(tmp_path / "Downloads/a")]
        client.send_files_to_gateway("sub", files)
    assert (tmp_path / "Downloads/a").is_file()
    assert (tmp_path / "Downloads/sub/a").is_file()


@pytest.mark.parametrize("dirname", ["", ".", "logs", "logs/today/", "./a//b"])
def test_an_upload_lands_in_its_folder_below_the_gateways(dirname: str, place: Place, client: Client) -> None:
    files = make(place.source, "a", "b")
    client.send_files_to_gateway(dirname, files)
    assert_arrived(files, place.up / dirname)


@pytest.mark.parametrize("dirname", ["..", "a/../..", "/tmp", "a\\b", "C:x"])
def test_an_upload_to_anywhere_else_is_refused_and_the_pair_stays(
    dirname: str, place: Place, client: Client
) -> None:
    files = make(place.source, "a")
    with pytest.raises(SubroutineError, match="the folder") as caught:
        client.send_files_to_gateway(dirname, files)
    assert caught.value.code == 403
    assert not place.up.exists()
    client.ping()


def test_an_upload_of_two_files_of_one_name_is_an_error_before_anything_moves(
    place: Place, client: Client
) -> None:
    files = make(place.source, "a/x", "b/x", "y")
    with pytest.raises(FilesError, match="two files of one name"):
        client.send_files_to_gateway(files=files)
    assert not place.up.exists()


def test_an_upload_names_what_is_missing_and_sends_the_rest(place: Place, client: Client) -> None:
    files = make(place.source, "a", "b")
    with pytest.raises(FilesError) as caught:
        client.send_files_to_gateway(files=[files[0], place.source / "no", place.source, files[1]])
    assert caught.value.failed == {str(place.source / "no"): "No such file or directory"}
    assert caught.value.arrived == [str(path) for path in files]
    assert_arrived(files, place.up)


def test_a_folder_in_the_way_costs_its_own_file_only(place: Place, client: Client) -> None:
    files = make(place.source, "a", "b")
    for folder in (place.down, place.up):
        (folder / "a").mkdir(parents=True)
    with pytest.raises(FilesError, match="there is a folder of that name") as caught:
        client.get_files_from_gateway(folder=place.source)
    assert caught.value.arrived == [str(place.down / "b")]
    with pytest.raises(FilesError, match="there is a folder of that name") as caught:
        client.send_files_to_gateway(files=files)
    assert caught.value.arrived == [str(files[1])]


def test_a_download_folder_that_cannot_be_is_told_for_every_file(place: Place, client: Client) -> None:
    files = make(place.source, "a", "b")
    place.down.write_text("no folder")
    with pytest.raises(FilesError, match="cannot use the folder") as caught:
        client.get_files_from_gateway(folder=place.source)
    assert list(caught.value.failed) == [str(path) for path in files]
    place.up.write_text("no folder")
    with pytest.raises(SubroutineError, match="cannot use the folder"):
        client.send_files_to_gateway(files=files)
    client.ping()


# Roots and roles


def test_with_roots_only_what_is_below_them_can_be_listed_and_read(tmp_path: Path) -> None:
    inner, other = make(tmp_path / "root", "a")[0], make(tmp_path / "other", "b")[0]
    (tmp_path / "root/link").symlink_to(other)
    with (
        serving(roots=[tmp_path / "root"], download_dir=str(tmp_path / "up")) as gateway,
        Controller(port=gateway.port, download_dir=str(tmp_path / "down")).get_client() as client,
    ):
        with pytest.raises(SubroutineError, match="outside the folders") as refused:
            client.get_files_from_gateway(folder=tmp_path)
        assert refused.value.code == 403
        with pytest.raises(FilesError, match="outside the folders") as caught:
            client.get_files_from_gateway(files=[other, inner])
        assert caught.value.arrived == [str(tmp_path / "down/a")]
        assert client.get_files_from_gateway(folder=tmp_path / "root").skipped == {
            str(tmp_path / "root/link"): "is no regular file"
        }
        assert len(client.get_files_from_gateway(".+/a$")) == 1  # alone: over the roots
    assert_arrived([inner], tmp_path / "down")


def test_a_regex_alone_needs_roots(place: Place, client: Client) -> None:
    with pytest.raises(SubroutineError, match="name a folder"):
        client.get_files_from_gateway(".*")


def test_the_gateway_says_at_its_start_what_peers_may(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("INFO", "pynet_core")
    for roots in (None, [], [tmp_path]):
        with serving(roots=roots, download_dir=str(tmp_path / "up")):
            pass
    said = [record.getMessage() for record in caplog.records if "may read" in record.getMessage()]
    assert ["every file" in one for one in said] == [True, False, False]
    assert "no files" in said[1]
    assert str(tmp_path) in said[2]
    assert all(str(tmp_path / "up") in one for one in said)


@pytest.mark.parametrize("role", ["viewer", "driver"])
def test_files_are_for_role_admin(role: str, tmp_path: Path) -> None:
    files = make(tmp_path / "source", *map(str, range(500)))
    with (
        serving(identity=CAR, trust=trusting(LAPTOP=role), download_dir=str(tmp_path / "up")) as gateway,
        Controller(port=gateway.port, identity=LAPTOP, trust=trusting(CAR="gateway")).get_client() as client,
    ):
        for ask in (
            lambda: client.get_files_from_gateway(files=files),
            lambda: client.send_files_to_gateway(files=files),
        ):
            with pytest.raises(SubroutineError, match="needs role admin") as caught:
                ask()
            assert caught.value.code == 403
            client.ping()
    assert not (tmp_path / "up").exists()


def test_files_travel_both_ways_under_tls(tmp_path: Path) -> None:
    files = make(tmp_path / "source", "a", "b", "c", size=PIECE_BYTES + 1000)
    (tmp_path / "source/c").write_bytes(b"")
    laptop: dict[str, Any] = {
        "identity": LAPTOP,
        "trust": trusting(CAR="gateway"),
        "download_dir": str(tmp_path / "down"),
    }
    with (
        serving(identity=CAR, trust=trusting(LAPTOP="admin"), download_dir=str(tmp_path / "up")) as gateway,
        Controller(port=gateway.port, **laptop).get_client() as client,
    ):
        client.get_files_from_gateway(folder=tmp_path / "source")
        client.send_files_to_gateway(files=files)
    assert_arrived(files, tmp_path / "down")
    assert_arrived(files, tmp_path / "up")


# Progress, and an end before the end


@pytest.mark.parametrize("way", ["down", "up"])
def test_progress_counts_to_the_end(way: str, place: Place, client: Client) -> None:
    files = make(place.source, "a", "b", "c", size=PIECE_BYTES)
    (place.source / "c").write_bytes(b"")
    steps: list[Progress] = []
    if way == "down":
        client.get_files_from_gateway(folder=place.source, on_progress=steps.append)
    else:
        client.send_files_to_gateway(files=files, on_progress=steps.append)
    total = 2 * PIECE_BYTES + 1
    assert {step.path for step in steps} == {str(path) for path in files}
    assert all((step.files, step.bytes) == (3, total) for step in steps)
    assert (steps[-1].files_done, steps[-1].bytes_done) == (3, total)
    assert [step.bytes_done for step in steps] == sorted(step.bytes_done for step in steps)
    assert [step.files_done for step in steps] == sorted(step.files_done for step in steps)


@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize("after", [0, 3, 9, 16])
def test_what_progress_raises_comes_out_and_the_pair_stays(
    after: int, way: str, place: Place, client: Client
) -> None:
    files = make(place.source, "a", "b", "c", size=PIECE_BYTES + 1000)
    stop = ValueError("enough")
    steps: list[Progress] = []

    def raise_then(step: Progress) -> None:
        steps.append(step)
        if len(steps) > after:
            raise stop

    with pytest.raises(ValueError, match="enough") as caught:
        if way == "down":
            client.get_files_from_gateway(folder=place.source, on_progress=raise_then)
        else:
            client.send_files_to_gateway(files=files, on_progress=raise_then)
    assert caught.value is stop
    assert len(steps) == after + 1
    client.ping("still here")
    assert_nothing_half(files, place.down)
    assert_nothing_half(files, place.up)
    client.get_files_from_gateway(folder=place.source)
    assert_arrived(files, place.down)
    client.send_files_to_gateway(files=files)
    assert_arrived(files, place.up)


def test_an_interrupt_in_the_middle_closes_the_pair(place: Place, client: Client) -> None:
    def interrupt(step: Progress) -> None:
        raise KeyboardInterrupt

    make(place.source, "a", size=PIECE_BYTES)
    with pytest.raises(KeyboardInterrupt):
        client.get_files_from_gateway(folder=place.source, on_progress=interrupt)
    assert not client.connected


# Again


def test_the_same_download_again_moves_nothing_and_returns_the_same(place: Place, client: Client) -> None:
    files = make(place.source, "a", "b", size=PIECE_BYTES + 1000)
    first = client.get_files_from_gateway(folder=place.source)
    inodes = [Path(path).stat().st_ino for path in first]
    with Relay(place.gateway.port) as relay, place.client_of(relay.port) as client:
        assert client.get_files_from_gateway(folder=place.source) == first
    assert relay.down_bytes < 5000
    assert [Path(path).stat().st_ino for path in first] == inodes
    assert_arrived(files, place.down)


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_file_that_is_another_here_is_fetched_again(keep_time: bool, place: Place, client: Client) -> None:
    files = make(place.source, "a", size=1000)
    client.get_files_from_gateway(folder=place.source)
    (place.down / "a").write_bytes(bytes(1000))
    if keep_time:  # then only its digest tells
        os.utime(place.down / "a", ns=(MTIME_NS, MTIME_NS))
    client.get_files_from_gateway(folder=place.source)
    assert_arrived(files, place.down)


# What callers get wrong


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ValueError),
        ({"files": "abc"}, TypeError),
        ({"files": [5]}, TypeError),
        ({"files": ["x" * 5000]}, ValueError),
        ({"folder": "x" * 5000}, ValueError),
        ({"folder": "/tmp", "regex": "\ud800"}, ValueError),
    ],
)
def test_wrong_arguments_are_told_at_once_and_the_pair_stays(
    arguments: dict[str, Any], error: type[Exception], client: Client
) -> None:
    with pytest.raises(error):
        client.get_files_from_gateway(**arguments)
    client.ping()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ValueError),
        ({"files": "abc"}, TypeError),
        ({"files": ["/etc/hostname"], "dirname": "\ud800"}, ValueError),
    ],
)
def test_wrong_arguments_of_an_upload_are_told_at_once_and_the_pair_stays(
    arguments: dict[str, Any], error: type[Exception], client: Client
) -> None:
    with pytest.raises(error):
        client.send_files_to_gateway(**arguments)
    client.ping()


def test_a_verbose_controller_says_what_it_did(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    files = make(place.source, "a")
    with place.client_of(verbose=True) as client:
        client.get_files_from_gateway(folder=place.source)
        client.send_files_to_gateway(files=files)
    said = capsys.readouterr().out
    assert "1 files are downloaded" in said
    assert "sent to the gateway" in said

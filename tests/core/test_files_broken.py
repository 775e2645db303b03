"""Files when things break: cut at any byte, killed, changed while they are read, a full disk.  What has its
final name is whole, and the next attempt goes on from there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pynet_core.controller import Controller
from pynet_core.errors import FilesError, FilesInterrupted, LinkError, SubroutineError
from pynet_core.transfer.flat import PIECE_BYTES
from pynet_core.transfer.meter import Progress
from pynet_core.transfer.stock import SMALL_BYTES
from pynet_core.wire import Frame, Kind
from tests.core.file_place import Place, assert_arrived, assert_nothing_half, make, place_in, run_python
from tests.core.loopback import eventually, open_files
from tests.core.relay import Relay

pytestmark = pytest.mark.shared

SIZES = (700, 0, SMALL_BYTES + 10, 3000)
# Down: WELCOME, the list, the files.  A little more than all of it, so that some runs end well.
DOWN_BYTES = sum(SIZES) + 2500
UP_BYTES = DOWN_BYTES + 500


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path) as place:
        yield place


def small_files(folder: Path) -> list[Path]:
    files = [make(folder, name, size=size)[0] for name, size in zip("abcd", SIZES, strict=True)]
    (folder / "b").write_bytes(b"")
    return files


# Cut at any byte


@pytest.mark.slow
@settings(max_examples=30)
@given(down=st.integers(0, DOWN_BYTES) | st.integers(0, 3000), again=st.integers(0, DOWN_BYTES))
@example(down=0, again=0)
@example(down=DOWN_BYTES, again=1)
def test_a_download_cut_at_any_byte_twice_leaves_nothing_half_and_then_arrives(
    down: int, again: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with place_in(tmp_path_factory.mktemp("cut")) as place:
        files = small_files(place.source)
        for limit in (down, again):
            with (
                Relay(place.gateway.port, cut_down=limit) as relay,
                contextlib.suppress(LinkError),
                place.client_of(relay.port) as client,
            ):
                try:
                    client.get_files_from_gateway(folder=place.source)
                except FilesInterrupted as exc:
                    assert len(exc.arrived) + len(exc.failed) == len(files)
                    assert all(Path(path).is_file() for path in exc.arrived)
                    assert not client.connected
            assert_nothing_half(files, place.down)
        with place.client_of() as client:
            client.get_files_from_gateway(folder=place.source)
        assert_arrived(files, place.down)


@pytest.mark.slow
@settings(max_examples=30)
@given(up=st.integers(0, UP_BYTES) | st.integers(0, 1500))
@example(up=UP_BYTES)
def test_an_upload_cut_at_any_byte_leaves_nothing_half_and_no_part(
    up: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with place_in(tmp_path_factory.mktemp("cut")) as place:
        files = small_files(place.source)
        before = open_files()
        with (
            Relay(place.gateway.port, cut_up=up) as relay,
            contextlib.suppress(LinkError),
            place.client_of(relay.port) as client,
        ):
            client.send_files_to_gateway(files=files)
        assert eventually(lambda: not list(place.up.glob("*.part")) and open_files() == before)
        assert_nothing_half(files, place.up)
        with place.client_of() as client:
            client.send_files_to_gateway(files=files)
        assert_arrived(files, place.up)


# Going on


def cut_short(place: Place, file: Path, after: int) -> None:
    """A download of this file that is cut after so many bytes."""
    with Relay(place.gateway.port, cut_down=after) as relay, place.client_of(relay.port) as client:
        with pytest.raises(FilesInterrupted) as caught:
            client.get_files_from_gateway(files=[file])
        assert caught.value.failed == {str(file): "the connection was lost"}


def bytes_of_the_next_attempt(place: Place, file: Path) -> int:
    with Relay(place.gateway.port) as relay, place.client_of(relay.port) as client:
        client.get_files_from_gateway(files=[file])
    assert_arrived([file], place.down)
    return relay.down_bytes


def test_a_download_goes_on_where_it_was_cut(place: Place) -> None:
    (file,) = make(place.source, "a", size=4 * PIECE_BYTES)
    cut_short(place, file, 3 * PIECE_BYTES + 100_000)
    assert bytes_of_the_next_attempt(place, file) < PIECE_BYTES + 10_000


def test_of_a_file_that_has_grown_meanwhile_only_the_new_end_is_fetched(place: Place) -> None:
    (file,) = make(place.source, "a", size=3 * PIECE_BYTES)
    cut_short(place, file, 2 * PIECE_BYTES + 100_000)
    with file.open("ab") as log:
        log.write(os.urandom(5000))
    assert bytes_of_the_next_attempt(place, file) < PIECE_BYTES + 20_000


def test_of_a_part_that_is_not_the_sources_beginning_nothing_is_kept(place: Place) -> None:
    (file,) = make(place.source, "a", size=3 * PIECE_BYTES)
    cut_short(place, file, 2 * PIECE_BYTES + 100_000)
    (part,) = place.down.iterdir()
    part.write_bytes(os.urandom(2 * PIECE_BYTES))
    assert bytes_of_the_next_attempt(place, file) > 3 * PIECE_BYTES


def test_a_file_that_has_become_another_meanwhile_arrives_as_it_is_now(place: Place) -> None:
    (file,) = make(place.source, "a", size=3 * PIECE_BYTES)
    cut_short(place, file, 2 * PIECE_BYTES + 100_000)
    make(place.source, "a", size=1000)
    assert bytes_of_the_next_attempt(place, file) < 3000


def test_a_part_with_a_hole_in_it_is_filled(place: Place) -> None:
    """As a power cut can leave it: the end on the disk, the middle not."""
    (file,) = make(place.source, "a", size=3 * PIECE_BYTES)
    cut_short(place, file, 3 * PIECE_BYTES - 100_000)
    (part,) = place.down.iterdir()
    with part.open("r+b") as holed:
        holed.seek(PIECE_BYTES + 5)
        holed.write(bytes(1000))
    assert PIECE_BYTES < bytes_of_the_next_attempt(place, file) < 2 * PIECE_BYTES + 10_000


# Killed

DOWNLOAD = """
import sys
from pynet_core.controller import Controller
client = Controller(port=int(sys.argv[1]), download_dir=sys.argv[2]).get_client()
print("ready", flush=True)
client.get_files_from_gateway(folder=sys.argv[3])
"""
UPLOAD = DOWNLOAD.replace(
    "get_files_from_gateway(folder=sys.argv[3])",
    "send_files_to_gateway(files=__import__('glob').glob(sys.argv[3] + '/*'))",
)
SERVE = """
import sys
from pynet_core.gateway import Gateway
gateway = Gateway(0, download_dir=sys.argv[1])
gateway.start()
print(gateway.port, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def running(source: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = run_python(source, *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.system
@pytest.mark.parametrize("after", [1500, 200_000, SMALL_BYTES + 3000])
def test_a_controller_killed_in_the_middle_leaves_nothing_half_and_the_next_arrives(
    after: int, place: Place
) -> None:
    files = small_files(place.source)
    with Relay(place.gateway.port, stall_down=after) as relay:
        with running(DOWNLOAD, relay.port, place.down, place.source) as process:
            assert relay.stalled.wait(20)
            process.kill()
            process.wait()
        assert_nothing_half(files, place.down)
    with place.client_of() as client:
        client.get_files_from_gateway(folder=place.source)
    assert_arrived(files, place.down)


@pytest.mark.system
def test_a_gateway_killed_in_the_middle_of_an_upload_goes_on_after_its_restart(place: Place) -> None:
    files = make(place.source, "a", size=4 * PIECE_BYTES)
    with running(SERVE, place.up) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())

        def kill(step: Progress) -> None:
            if step.bytes_done > 3 * PIECE_BYTES:
                # What was sent may still be on its way.
                assert eventually(lambda: any(a.stat().st_size >= PIECE_BYTES for a in place.up.iterdir()))
                process.kill()

        with place.client_of(port) as client, pytest.raises(FilesInterrupted) as caught:
            client.send_files_to_gateway(files=files, on_progress=kill)
        assert list(caught.value.failed) == [str(files[0])]
    assert_nothing_half(files, place.up)
    with Relay(place.gateway.port) as relay, place.client_of(relay.port) as client:
        client.send_files_to_gateway(files=files)
    assert_arrived(files, place.up)
    assert relay.up_bytes < 4 * PIECE_BYTES


@pytest.mark.system
def test_an_uploader_killed_in_the_middle_leaves_no_part_at_the_gateway(place: Place) -> None:
    files = make(place.source, "a", size=8 * PIECE_BYTES)
    before = open_files()
    with running(UPLOAD, place.gateway.port, place.down, place.source) as process:
        assert eventually(lambda: list(place.up.glob("*.part")) or list(place.up.glob("a")), 20)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert eventually(lambda: not list(place.up.glob("*.part")) and open_files() == before)
    assert_nothing_half(files, place.up)


@pytest.fixture
def interrupted() -> Iterator[threading.Event]:
    """Set when Ctrl-C has become a KeyboardInterrupt."""
    interrupted = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    yield interrupted
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_waiting_closes_the_pair_and_keeps_the_part(
    place: Place, interrupted: threading.Event
) -> None:
    (file,) = make(place.source, "a", size=2 * PIECE_BYTES)
    with (
        Relay(place.gateway.port, stall_down=PIECE_BYTES + 300_000) as relay,
        place.client_of(relay.port) as client,
    ):

        def interrupt() -> None:
            part = place.down / "a.pynet.part"
            assert eventually(lambda: part.exists() and part.stat().st_size > PIECE_BYTES, 20)
            while not interrupted.wait(0.2):  # a signal that comes just before recv begins does not wake it
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            client.get_files_from_gateway(files=[file])
        interrupter.join()
        assert not client.connected
    assert [path.name for path in place.down.iterdir()] == ["a.pynet.part"]
    assert bytes_of_the_next_attempt(place, file) < PIECE_BYTES + 10_000


# Changed while they are read


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def shrink(path: Path) -> None:
    os.truncate(path, 5 * PIECE_BYTES)


def replace_by_a_twin(path: Path) -> None:
    """Same size and time, other bytes."""
    twin = path.with_name("twin")
    twin.touch()
    os.truncate(twin, path.stat().st_size)
    os.utime(twin, ns=(path.stat().st_mtime_ns, path.stat().st_mtime_ns))
    twin.replace(path)


def rewrite_and_hide_it(path: Path) -> None:
    was = path.stat()
    with path.open("r+b") as file:
        file.seek(5 * PIECE_BYTES)
        file.write(b"x")
    os.utime(path, ns=(was.st_mtime_ns, was.st_mtime_ns))


@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        # A write shows its time before its size, and the sender may look in between.
        (grow, "has (grown from|been written to)"),
        (shrink, "has (shrunk|been written to)"),
        (Path.unlink, "has (vanished|been removed)"),
        (replace_by_a_twin, "has been (replaced|removed)"),
        (rewrite_and_hide_it, "has been written to"),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_named_and_the_others_arrive(
    change: Callable[[Path], None], said: str, way: str, place: Place
) -> None:
    before, after = make(place.source, "a", "z")
    changing = place.source / "m"
    changing.touch()
    os.truncate(changing, 6 * PIECE_BYTES)  # more than the kernel holds on the way
    files = [before, changing, after]
    changed = threading.Event()

    def on_progress(step: Progress) -> None:
        if step.path == str(changing) and not changed.is_set():
            changed.set()
            change(changing)

    with place.client_of() as client:
        with pytest.raises(FilesError, match=said) as caught:
            if way == "down":
                client.get_files_from_gateway(files=files, on_progress=on_progress)
            else:
                client.send_files_to_gateway(files=files, on_progress=on_progress)
        assert list(caught.value.failed) == [str(changing)]
        assert [Path(path).name for path in caught.value.arrived] == ["a", "z"]
        client.ping()
    folder = place.down if way == "down" else place.up
    for part in folder.glob("*.part"):  # worth keeping for a download
        assert way == "down"
        part.unlink()
    assert_arrived([before, after], folder)


# Corrupted on the way


def test_a_file_whose_bytes_were_corrupted_on_the_way_is_named_and_the_others_arrive(place: Place) -> None:
    files = make(place.source, "a", "b", "c", size=SMALL_BYTES + 100)
    victim = files[1].read_bytes()[-50:]

    def tamper(frame: Frame) -> Frame:
        if frame.kind == Kind.RAW and frame.body.endswith(victim):
            return Frame(frame.kind, frame.ident, frame.body[:-1] + bytes([frame.body[-1] ^ 1]))
        return frame

    with Relay(place.gateway.port, tamper=tamper) as relay, place.client_of(relay.port) as client:
        with pytest.raises(FilesError) as caught:
            client.get_files_from_gateway(folder=place.source)
        assert caught.value.failed == {str(files[1]): "arrived corrupted"}
        client.ping()
    assert_arrived([files[0], files[2]], place.down)


# Disks


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own in this folder."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a file system")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.root
@pytest.mark.parametrize("way", ["down", "up"])
def test_on_a_full_disk_what_fits_arrives_and_the_rest_is_named(way: str, place: Place) -> None:
    files = make(place.source, "a", "b", "d", size=100_000)
    (large,) = make(place.source, "c", size=3_000_000)
    folder = place.down if way == "down" else place.up
    with mounted(folder, "size=1m"):
        with place.client_of() as client, pytest.raises(FilesError, match="No space left") as caught:
            if way == "down":
                client.get_files_from_gateway(folder=place.source)
            else:
                client.send_files_to_gateway(files=[*files[:2], large, files[2]])
        assert list(caught.value.failed) == [str(large)]
        assert len(caught.value.arrived) == 3
        assert_arrived(files, folder)


@pytest.mark.root
def test_a_read_only_folder_is_told_for_every_file_and_the_pair_stays(place: Place) -> None:
    files = make(place.source, "a", "b")
    with mounted(place.down, "ro"), mounted(place.up, "ro"), place.client_of() as client:
        with pytest.raises(FilesError, match="Read-only file system") as caught:
            client.get_files_from_gateway(folder=place.source)
        assert list(caught.value.failed) == [str(path) for path in files]
        with pytest.raises(FilesError, match="Read-only file system"):
            client.send_files_to_gateway(files=files)
        with pytest.raises(SubroutineError, match="Read-only file system"):
            client.send_files_to_gateway("sub", files)
        client.ping()


# Without xxhash


@pytest.mark.system
def test_a_gateway_without_xxhash_and_a_controller_with_it_agree(tmp_path: Path) -> None:
    """A gateway in whose Python xxhash cannot be imported."""
    files = make(tmp_path / "source", "a", "b", size=PIECE_BYTES)
    with running("import sys; sys.modules['xxhash'] = None\n" + SERVE, tmp_path / "up") as gateway:
        assert gateway.stdout is not None
        port = int(gateway.stdout.readline())
        with Controller(port=port, download_dir=str(tmp_path / "down")).get_client() as client:
            client.get_files_from_gateway(folder=tmp_path / "source")
            client.send_files_to_gateway(files=files)
    assert_arrived(files, tmp_path / "down")
    assert_arrived(files, tmp_path / "up")


# Memory

TRANSFER = """
import os, resource, sys
from pynet_core.controller import Controller

def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

client = Controller(port=int(sys.argv[1]), download_dir=sys.argv[2]).get_client()
client.get_files_from_gateway(files=[sys.argv[3] + "/small"])
before = peak(), int(client.get_subroutine_batch("peak"))
client.get_files_from_gateway(files=[sys.argv[3] + "/sparse"])
after = peak(), int(client.get_subroutine_batch("peak"))
print(after[0] - before[0], after[1] - before[1], flush=True)
client.close()
"""
SERVE_AND_TELL = SERVE.replace(
    "gateway.start()",
    "import resource as r\n"
    "gateway.add_subroutine('peak', lambda: str(r.getrusage(r.RUSAGE_SELF).ru_maxrss).encode())\n"
    "gateway.start()",
)


@pytest.mark.system
def test_a_sparse_gigabyte_costs_either_end_a_few_megabytes_and_stays_sparse(tmp_path: Path) -> None:
    make(tmp_path, "small", size=PIECE_BYTES)
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1 << 30)
    with running(SERVE_AND_TELL, tmp_path / "up") as gateway:
        assert gateway.stdout is not None
        port = int(gateway.stdout.readline())
        with running(TRANSFER, port, tmp_path / "down", tmp_path) as controller:
            said, _ = controller.communicate(timeout=100)
    grown = [int(number) for number in said.split()]  # KiB
    assert len(grown) == 2
    assert max(grown) < 8 * 1024
    arrived = (tmp_path / "down/sparse").stat()
    assert arrived.st_size == 1 << 30
    assert arrived.st_blocks * 512 < 1 << 20

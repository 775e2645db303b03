"""examples/conditional_backup: the plain form runs as ever, the full form deletes only what it has."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from pynet_core.wire import Frame, Kind
from tests.core.loopback import eventually
from tests.core.relay import Relay

EXAMPLE: Final = Path(__file__).parents[2] / "examples/conditional_backup"
FILES: Final = 100
SIZE: Final = 1000  # bytes each
CAPACITY: Final = 125_000  # 80 % full; 25 % of it are 31 files
KEPT: Final = 31
Command = tuple[str, ...]


@contextlib.contextmanager
def running(
    *command: object, cwd: Path, says: str = "", inside: Command = (), **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A Python of its own, from the moment it has said that; ended at the end.

    `inside` stands before its command: what takes it to another machine.
    """
    process = subprocess.Popen(
        [*inside, sys.executable, "-u", *map(str, command)],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        if says:
            assert says in process.stdout.readline()
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def run(
    *command: object, cwd: Path, inside: Command = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*inside, sys.executable, *map(str, command)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# The plain form


def test_the_plain_scripts_are_those_that_users_know_but_for_two_paths() -> None:
    """Their SHA-256 with the paths that stood in them."""
    gateway = (EXAMPLE / "gateway.py").read_bytes().replace(b'"/"', rb'"\\"')
    controller = (EXAMPLE / "controller.py").read_bytes().replace(b"'/tmp/logs'", rb"'D:\logs'")
    assert [hashlib.sha256(script).hexdigest() for script in (gateway, controller)] == [
        "1a6a53044acc92a6eead1c2298c9ad5b2a0603725d2c5e8f30fc8cda62977dae",
        "014c7000ee0b7db83d89de27cfbd8e6e2a3e23cc1ae8769f13bc58a2bbad4878",
    ]


# A disk that is half full, whatever this one is.
HALF_FULL: Final = """
import runpy, shutil, sys
shutil.disk_usage = lambda path: (100, 50, 50)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def plain_form(folder: Path, port: int, here: Command = (), there: Command = (), **changes: str) -> None:
    """Run the two scripts, the gateway there and the controller here, and look what they did."""
    logs = folder / "logs"
    logs.mkdir()
    for name in ("1_RFIN703235761L.log", "2_RFIN703235761L", "other.log"):
        (logs / name).write_text(name)
    gateway_ip, key = changes.get("gateway_ip", ""), changes.get("key", "")
    for script in ("gateway.py", "controller.py"):
        text = (EXAMPLE / script).read_text().replace("1857", str(port)).replace("/tmp/logs", str(logs))
        (folder / script).write_text(text.replace("gateway_ip = ''", f"gateway_ip = '{gateway_ip}'"))
    with running("-c", HALF_FULL, "gateway.py", cwd=folder, inside=there, PYNET_KEY=key) as gateway:
        assert eventually(lambda: listens(gateway, port), 20)
        done = run("controller.py", cwd=folder, inside=here, PYNET_KEY=key)
        assert done.returncode == 0, done.stderr
        assert gateway.poll() is None
    assert "mount usage: 0.5" in done.stdout
    assert "3  files deleted" in done.stdout
    assert list(logs.iterdir()) == []
    arrived = {path.name: path.read_text() for path in (folder / "mydir").iterdir()}
    assert arrived == {name: name for name in ("1_RFIN703235761L.log", "2_RFIN703235761L")}


@pytest.mark.system
@pytest.mark.shared
def test_the_plain_form_fetches_what_matches_and_then_deletes_all(tmp_path: Path, free_port: int) -> None:
    plain_form(tmp_path, free_port)


def listens(process: subprocess.Popen[str], port: int) -> bool:
    """Whether anything does on this port of the machine that the process is on."""
    tables = (Path(f"/proc/{process.pid}/net/{name}") for name in ("tcp", "tcp6"))
    return any(f":{port:04X} " in table.read_text() for table in tables if table.exists())


# The full form


class Machines:
    """A folder of files, the oldest first by name, with a gateway for it, and the folder they go to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.backup = folder / "backup"
        self.port = 0
        self.logs.mkdir()
        for number in range(FILES):
            path = self.logs / f"log{number:03}"
            path.write_bytes(os.urandom(SIZE))
            os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
        self.contents = {path.name: path.read_bytes() for path in self.logs.iterdir()}

    def run_controller(
        self, port: int | None = None, *arguments: str, inside: Command = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return run(*self.controller(port), *arguments, cwd=self.folder, inside=inside, **environment)

    def controller(self, port: int | None = None) -> list[object]:
        return [EXAMPLE / "full/backup_controller.py", self.backup, "--port", port or self.port]

    def left(self) -> list[str]:
        """What is still at the gateway; nothing of it has been touched."""
        for path in self.logs.iterdir():
            assert path.read_bytes() == self.contents[path.name]
        return sorted(path.name for path in self.logs.iterdir())

    def moved(self) -> list[str]:
        """What is in the backup, whole."""
        whole = [path for path in self.backup.iterdir() if path.name in self.contents]
        assert {path.name for path in self.backup.iterdir()} - set(self.contents) <= {".unfinished"} | {
            f"{name}.pynet.part" for name in self.contents
        }
        for path in whole:
            assert path.read_bytes() == self.contents[path.name]
        return sorted(path.name for path in whole)

    def assert_nothing_is_lost(self) -> None:
        assert {*self.left(), *self.moved()} == set(self.contents)


@pytest.fixture
def machines(tmp_path: Path, free_port: int) -> Iterator[Machines]:
    with machines_in(tmp_path, free_port) as machines:
        yield machines


@contextlib.contextmanager
def machines_in(folder: Path, port: int, inside: Command = (), **environment: str) -> Iterator[Machines]:
    machines = Machines(folder)
    machines.port = port
    script = EXAMPLE / "full/backup_gateway.py"
    arguments = [script, machines.logs, "--port", port, "--capacity", CAPACITY]
    with running(*arguments, cwd=folder, says="gives away", inside=inside, **environment) as gateway:
        assert eventually(lambda: listens(gateway, port), 20)
        yield machines


def names(start: int, stop: int) -> list[str]:
    return [f"log{number:03}" for number in range(start, stop)]


@pytest.mark.system
@pytest.mark.shared
def test_the_oldest_are_moved_and_just_enough_of_them_and_then_nothing_more(machines: Machines) -> None:
    done = machines.run_controller()
    assert done.returncode == 0, done.stderr
    assert machines.moved() == names(0, FILES - KEPT)
    assert machines.left() == names(FILES - KEPT, FILES)
    again = machines.run_controller()
    assert (again.returncode, again.stdout.split()[0]) == (0, "0")
    assert len(machines.left()) == KEPT


@pytest.mark.system
@pytest.mark.shared
def test_with_one_key_at_both_ends_it_runs_and_without_it_nothing_moves(
    tmp_path: Path, free_port: int
) -> None:
    key = "a key of this test, and of nothing else"
    with machines_in(tmp_path, free_port, PYNET_KEY=key) as machines:
        assert machines.run_controller(PYNET_KEY="another one of as many characters").returncode != 0
        assert len(machines.left()) == FILES
        done = machines.run_controller(PYNET_KEY=key)
        assert done.returncode == 0, done.stderr
        assert machines.moved() == names(0, FILES - KEPT)
        assert machines.left() == names(FILES - KEPT, FILES)


@pytest.mark.system
@pytest.mark.shared
def test_below_three_quarters_nothing_is_moved(machines: Machines) -> None:
    for name in names(0, 7):  # 93 files of 125 are 74.4 %
        (machines.logs / name).unlink()
    done = machines.run_controller()
    assert done.returncode == 0, done.stderr
    assert machines.left() == names(7, FILES)
    assert not machines.backup.exists()


@pytest.mark.system
@pytest.mark.shared
def test_one_that_vanishes_after_it_was_listed_is_named_and_the_others_are_moved(machines: Machines) -> None:
    def vanish(frame: Frame) -> Frame:
        if frame.kind == Kind.FOUND:
            (machines.logs / "log005").unlink(missing_ok=True)
        return frame

    with Relay(machines.port, tamper=vanish) as relay:
        done = machines.run_controller(relay.port)
    assert done.returncode == 1
    assert re.search(r"not moved: .*log005 has vanished", done.stdout)
    assert machines.moved() == [name for name in names(0, FILES - KEPT) if name != "log005"]
    assert machines.left() == names(FILES - KEPT, FILES)


@pytest.mark.system
@pytest.mark.shared
def test_one_whose_bytes_are_corrupted_on_the_way_stays_and_the_next_is_moved_in_its_place(
    machines: Machines,
) -> None:
    victim = machines.contents["log005"]

    def corrupt(frame: Frame) -> Frame:
        if frame.kind == Kind.PACK:
            return Frame(frame.kind, frame.ident, frame.body.replace(victim, victim[::-1]))
        return frame

    with Relay(machines.port, tamper=corrupt) as relay:
        done = machines.run_controller(relay.port)
    assert done.returncode == 1
    assert re.search(r"not moved: .*log005 arrived corrupted", done.stdout)
    assert machines.left() == ["log005", *names(FILES - KEPT + 1, FILES)]
    assert machines.moved() == [name for name in names(0, FILES - KEPT + 1) if name != "log005"]


@pytest.mark.system
@pytest.mark.shared
@pytest.mark.parametrize(
    ("kind", "count"),
    [(Kind.FOUND, 1), (Kind.PACK, 1), (Kind.REPLY, 3), (Kind.REPLY, 40), (Kind.REPLY, 71)],
    ids=["before all", "in the files", "first deletion", "in the deletions", "last deletion"],
)
def test_a_run_killed_half_way_and_started_again_loses_nothing_and_ends_the_same(
    kind: Kind, count: int, machines: Machines
) -> None:
    """Killed when the gateway has sent so many of these; the first two replies are about the listing."""
    seen: list[Kind] = []
    killed = threading.Event()

    def kill(frame: Frame) -> Frame:
        seen.append(Kind(frame.kind))
        if seen.count(kind) == count and not killed.is_set():
            process.kill()
            killed.set()
        return frame

    with (
        Relay(machines.port, tamper=kill) as relay,
        running(*machines.controller(relay.port), cwd=machines.folder) as process,
    ):
        assert killed.wait(20)
        process.wait()
    machines.assert_nothing_is_lost()
    done = machines.run_controller()
    assert done.returncode == 0, done.stderr
    machines.assert_nothing_is_lost()
    assert machines.left() == names(FILES - KEPT, FILES)
    assert machines.moved() == names(0, FILES - KEPT)


@pytest.mark.system
@pytest.mark.shared
def test_a_log_of_a_name_that_is_in_the_backup_already_does_not_replace_it(machines: Machines) -> None:
    machines.backup.mkdir()
    (machines.backup / "log000").write_text("an older one")
    done = machines.run_controller()
    assert done.returncode == 1
    assert "log000 another file of its name is in the backup" in done.stdout
    assert (machines.backup / "log000").read_text() == "an older one"
    assert machines.left() == ["log000", *names(FILES - KEPT + 1, FILES)]


@pytest.mark.system
@pytest.mark.shared
def test_a_file_is_not_deleted_when_it_has_changed_since_it_was_fetched(machines: Machines) -> None:
    """Between the last chunk and its deletion, a line is written to one that was fetched."""
    late = machines.logs / "log003"

    def write(frame: Frame) -> Frame:
        if frame.kind == Kind.END and (machines.backup / "log060").exists() and late.stat().st_size == SIZE:
            machines.contents["log003"] += b"late"
            late.write_bytes(machines.contents["log003"])
        return frame

    with Relay(machines.port, tamper=write) as relay:
        done = machines.run_controller(relay.port)
    assert done.returncode == 1
    assert re.search(r"not moved: .*log003.* is another one by now", done.stdout)
    assert late.read_bytes().endswith(b"late")


@pytest.mark.slow
def test_every_callable_that_gives_two_numbers_can_say_how_full_it_is(tmp_path: Path) -> None:
    import_path = str(EXAMPLE / "full")
    code = (
        f"import sys; sys.path.insert(0, {import_path!r})\n"
        "import pynet, pathlib, backup_gateway\n"
        "with pynet.Gateway(0) as gateway, pynet.Controller(port=gateway.port).get_client() as client:\n"
        "    backup_gateway.offer(gateway, pathlib.Path('.'), lambda: (3, 4))\n"
        "    print(bytes(client.get_subroutine_batch('usage')).decode())\n"
    )
    assert run("-c", code, cwd=tmp_path).stdout == "[3, 4]\n"

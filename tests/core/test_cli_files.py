"""`pynet get` and `pynet put` as a person types them: what arrives, what is said, and the exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pynet_core.cli import pynet
from pynet_core.cli_files import size, summary
from pynet_core.cli_frame import EXIT_SOME_FAILED
from pynet_core.cli_progress import shown_progress
from pynet_core.gateway import Gateway
from pynet_core.keys import SECRET_VARIABLE, Identity
from pynet_core.transfer.options import Moved, TreeProgress
from pynet_core.transfer.storing import JOIN_WAIT_S
from tests.core.file_place import Place, make, place_in
from tests.core.loopback import eventually
from tests.core.shell import json_keys, started

SECRET = "a secret of this test's"
NAMES = ("a.log", "b.log", "sub/c.log", "sub/deep/d.txt", "sub/e.txt")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path, max_poolsize=20) as place:
        yield place


def pynet_(place: Place, verb: str, *words: object) -> Result:
    return CliRunner().invoke(pynet, [verb, f"localhost:{place.gateway.port}", *map(str, words)])


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Contents and time of each file."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_is_fetched_whole_and_not_twice(place: Place) -> None:
    make(place.source, *NAMES)
    done = pynet_(place, "get", f"{place.source}/", "--into", place.down)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("5 files, 5.0 kB in ")
    assert tree(place.down) == tree(place.source)
    again = pynet_(place, "get", f"{place.source}/", "--into", place.down)
    assert again.exit_code == 0
    assert again.output.startswith("0 files, 0 B in ")
    assert "5 were there already" in again.output


def test_a_folder_without_a_slash_lands_under_its_name(place: Place) -> None:
    make(place.source, *NAMES)
    assert pynet_(place, "get", place.source, "--into", place.down).exit_code == 0
    assert tree(place.down / place.source.name) == tree(place.source)


def test_a_folder_is_sent_below_the_download_folder(place: Place) -> None:
    make(place.source, *NAMES)
    done = pynet_(place, "put", f"{place.source}/", "--into", "backup/monday", "--pairs", 3)
    assert done.exit_code == 0, done.output
    assert tree(place.up / "backup/monday") == tree(place.source)


@pytest.mark.parametrize("verb", ["get", "put"])
def test_patterns_and_ages_say_what_moves_and_a_dry_run_says_it_before(
    place: Place, verb: str, tmp_path: Path
) -> None:
    make(place.source, *NAMES)
    os.utime(place.source / "a.log")
    ignored = tmp_path / "ignored"
    ignored.write_text("# comments too\ndeep/\n")
    chosen = ["--include", "*.log", "--include", "d.txt", "--exclude-from", ignored, "--older", "1h"]
    target, into = (place.down, place.down) if verb == "get" else (place.up, "")
    dry = pynet_(place, verb, f"{place.source}/", "--into", into, *chosen, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert dry.output.splitlines() == ["b.log", "sub/c.log", "would move 2 files, 2.0 kB"]
    assert not target.exists()
    assert pynet_(place, verb, f"{place.source}/", "--into", into, *chosen).exit_code == 0
    assert tree(target).keys() == {"b.log", "sub/c.log"}


@pytest.mark.parametrize("verb", ["get", "put", "put folder", "sync --up"])
def test_a_dry_run_does_not_name_what_has_arrived_already(place: Place, verb: str) -> None:
    make(place.source, *NAMES)
    name, target = "b.log", place.down if verb == "get" else place.up / "in"
    words: list[object] = [f"{place.source}/", "--into", place.down if verb == "get" else "in"]
    if verb == "put folder":
        name, words[0] = f"{place.source.name}/b.log", place.source
    elif verb == "sync --up":
        words = [place.source, "in", "--up"]
    assert pynet_(place, verb.split()[0], *words).exit_code == 0
    (target / name).write_bytes(b"other")
    dry = pynet_(place, verb.split()[0], *words, "-n", "--json")
    assert [json.loads(line) for line in dry.output.splitlines()] == [
        {"path": name, "kind": "file", "bytes": 1001}
    ]


def test_the_same_size_and_time_is_compared_when_told_to(place: Place) -> None:
    make(place.source, "a.log")
    pynet_(place, "get", f"{place.source}/", "--into", place.down)
    there = (place.down / "a.log").stat()
    (place.down / "a.log").write_bytes(bytes(there.st_size))
    os.utime(place.down / "a.log", ns=(there.st_mtime_ns, there.st_mtime_ns))
    assert "1 were there already" in pynet_(place, "get", f"{place.source}/", "--into", place.down).output
    assert tree(place.down) != tree(place.source)
    pynet_(place, "get", f"{place.source}/", "--into", place.down, "--checksum")
    assert tree(place.down) == tree(place.source)


def test_what_does_not_arrive_is_named_and_the_rest_arrives_with_an_exit_code_of_its_own(
    place: Place,
) -> None:
    make(place.source, *NAMES)
    (place.down / "b.log").mkdir(parents=True)
    done = pynet_(place, "get", f"{place.source}/", "/no/such\x1b[31m", "--into", place.down)
    assert done.exit_code == EXIT_SOME_FAILED
    assert "b.log: cannot be stored here: there is a folder of that name" in done.output
    assert "/no/such�[31m: No such file or directory" in done.output
    assert "4 files" in done.output
    assert "2 failed" in done.output
    assert tree(place.down) == {name: one for name, one in tree(place.source).items() if name != "b.log"}


def test_programs_get_the_keys_that_the_page_promises(place: Place) -> None:
    make(place.source, *NAMES)
    done = pynet_(place, "get", f"{place.source}/", "/no/such", "--into", place.down, "--json")
    failed, last = (json.loads(line) for line in done.output.splitlines())
    dry = json.loads(pynet_(place, "put", place.source / "a.log", "-n", "--json").output)
    assert [failed.keys(), last.keys(), dry.keys()] == json_keys("pynet get")
    assert (last["files"], last["failed"], last["same"]) == (5, 1, 0)


def test_a_root_holds_what_may_be_fetched(tmp_path: Path) -> None:
    with place_in(tmp_path, roots=[tmp_path / "source"]) as place:
        make(place.source, "a.log")
        (tmp_path / "outside.log").write_text("not for peers")
        (place.source / "link").symlink_to(tmp_path / "outside.log")
        for asked in (tmp_path / "outside.log", f"{place.source}/../outside.log", "/etc/hostname"):
            done = pynet_(place, "get", asked, "--into", place.down)
            assert done.exit_code in (1, EXIT_SOME_FAILED), done.output
            assert re.search("outside the folders|'\\.\\.'", done.output)
        done = pynet_(place, "get", f"{place.source}/", "--into", place.down, "--links")
        assert done.exit_code == 0, done.output
        assert tree(place.down).keys() == {"a.log", "link"} or not (place.down / "link").exists()
        assert (place.down / "link").is_symlink(), "kept as a link, never followed"


@pytest.mark.parametrize("into", ["../outside", "/tmp", "a/../../b"])
def test_an_upload_stays_in_the_download_folder(place: Place, into: str) -> None:
    make(place.source, "a.log")
    began_s = time.monotonic()
    done = pynet_(place, "put", f"{place.source}/", "--into", into)
    assert time.monotonic() - began_s < JOIN_WAIT_S, "no pair waits for what was refused"
    assert done.exit_code == 1, done.output
    assert "the folder" in str(done.exception)
    assert not (place.up.parent / "outside").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--newer", "soon"], "'soon' is neither an age"),
        (["--exclude", "!"], "'!' is no pattern of gitignore's"),
        (["--limit", "fast"], "'fast' is no number of bytes a second"),
        (["--limit", "0"], "'0' is no number of bytes a second"),
        (["--limit", "9" * 400], "is no number of bytes a second"),
        (["--exclude-from", "/proc/self/exe"], "/proc/self/exe: patterns are UTF-8 text"),
        (["--pairs", "0"], "0 is not in the range"),
        (["--exclude-from", "/no/such"], "does not exist"),
    ],
)
def test_a_slip_is_told_and_nothing_is_called(place: Place, words: list[str], said: str) -> None:
    done = pynet_(place, "get", "/x", *words)
    assert done.exit_code == 2
    assert said in done.output


def test_a_limit_is_kept_within_a_tenth(place: Place) -> None:
    """Slower is no fault on a busy machine, faster is one."""
    (place.source / "big").write_bytes(os.urandom(1_500_000))
    began_s = time.monotonic()
    assert pynet_(place, "get", place.source / "big", "--into", place.down, "--limit", "1M").exit_code == 0
    assert time.monotonic() - began_s > 0.9 * (1.5 - 0.25) - 0.25


def test_ctrl_c_stops_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with place_in(tmp_path, identity=Identity.from_secret(SECRET), max_poolsize=20) as place:
        make(place.source, *NAMES)
        (place.source / "big").write_bytes(os.urandom(8_000_000))
        words = ["get", f"localhost:{place.gateway.port}", f"{place.source}/", "--into", place.down]
        environment = {**os.environ, SECRET_VARIABLE: SECRET}
        with started(*words, "--limit", "2M", env=environment) as process:
            assert eventually(lambda: list(place.down.rglob("a.log")), 30)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        assert process.returncode == 130, said
        assert "the same command goes on from here" in said
        with started(*words, "--json", env=environment) as process:
            result, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert json.loads(result)["same"] >= 1
        assert tree(place.down) == tree(place.source), "no stray parts either"


def test_without_the_key_nothing_moves(tmp_path: Path) -> None:
    with place_in(tmp_path, identity=Identity.from_secret(SECRET)) as place:
        make(place.source, "a.log")
        done = pynet_(place, "get", f"{place.source}/", "--into", place.down)
        assert done.exit_code == 1
        assert not place.down.exists()


def test_numbers_are_for_people() -> None:
    assert [size(count) for count in (0, 999, 1000, 2_500_000, 7e9, 7e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "2.5 MB",
        "7.0 GB",
        "7.0 TB",
    ]
    assert summary(Moved(), 0) == "0 files, 0 B in 0.00 s (0 B/s)"


def test_progress_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = TreeProgress("a\x1b[31m.log", 1, 2, 500, 1000, True, 0.5, (300, 200))
    with shown_progress() as on_progress:
        assert on_progress is None, "pytest is no terminal"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with shown_progress() as on_progress:
        assert on_progress is not None
        on_progress(now)
        on_progress(now)


def test_a_gateway_that_is_gone_is_one_sentence(gateway: Gateway, free_port: int, tmp_path: Path) -> None:
    done = CliRunner().invoke(pynet, ["get", f"localhost:{free_port}", "/x", "--into", str(tmp_path / "x")])
    assert done.exit_code == 1
    assert not (tmp_path / "x").exists()


def test_a_lost_connection_is_told_and_how_to_go_on(place: Place) -> None:
    make(place.source, "large", size=8_000_000)

    def die() -> None:
        assert eventually(place.down.exists)
        place.gateway.stop()

    killer = threading.Thread(target=die)
    killer.start()
    done = pynet_(place, "get", f"{place.source}/", "--into", place.down, "--limit", "1M", "--json")
    killer.join()
    assert done.exit_code == EXIT_SOME_FAILED
    assert json.loads(done.stdout.splitlines()[-1])["lost"] is True
    assert "goes on from here" in done.stderr


def test_an_age_beyond_all_ages_is_wrong_use(place: Place) -> None:
    assert pynet_(place, "get", "x", "--newer", f"{'9' * 400}d").exit_code == 2

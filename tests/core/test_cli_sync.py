"""`pynet sync`, `rm` and `ls PATH`: what is deleted, and what never is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pynet_core.cli import pynet
from pynet_core.cli_frame import EXIT_SOME_FAILED
from pynet_core.controller import Controller
from pynet_core.errors import FilesError
from pynet_core.subroutines import Peer
from pynet_core.transfer.options import Options, TreeProgress
from tests.core.file_place import Place, make, place_in
from tests.core.shell import json_keys

NAMES = ("a.log", "sub/b.log", "sub/deep/c.txt")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path, max_poolsize=20) as place:
        yield place


def pynet_(place: Place, verb: str, *words: object, typed: str | None = None) -> Result:
    return CliRunner().invoke(pynet, [verb, f"localhost:{place.gateway.port}", *map(str, words)], input=typed)


def names(folder: Path) -> set[str]:
    """Of all that is there, folders with a slash."""
    return {
        f"{path.relative_to(folder)}{'/' * (path.is_dir() and not path.is_symlink())}"
        for path in folder.rglob("*")
    }


def synced(place: Place, way: str) -> tuple[Path, list[object]]:
    """A target that has the source's files and more, and the words that sync it."""
    make(place.source, *NAMES)
    target = place.down if way == "down" else place.up / "copy"
    make(target, "sub/stray.log", "gone/x", "gone/y", "kept.tmp")
    return target, [place.source, target if way == "down" else "copy", *(["--up"] if way == "up" else [])]


@pytest.mark.parametrize("way", ["down", "up"])
def test_what_is_too_many_stays_unless_told_and_goes_when_told(place: Place, way: str) -> None:
    target, words = synced(place, way)
    assert pynet_(place, "sync", *words).exit_code == 0
    strays = {"sub/stray.log", "gone/", "gone/x", "gone/y", "kept.tmp"}
    assert names(target) == names(place.source) | strays
    dry = pynet_(place, "sync", *words, "--delete", "--exclude", "*.tmp", "--dry-run")
    deletes = [line for line in dry.output.splitlines() if line.startswith("delete ")]
    assert deletes == [f"delete {name}" for name in ("sub/stray.log", "gone/y", "gone/x", "gone")]
    assert names(target) == names(place.source) | strays
    done = pynet_(place, "sync", *words, "--delete", "--exclude", "*.tmp", "--yes")
    assert done.exit_code == 0, done.output
    assert "4 deleted" in done.output
    assert names(target) == names(place.source) | {"kept.tmp"}


def test_nothing_is_deleted_when_nobody_says_yes(place: Place) -> None:
    target, words = synced(place, "down")
    before = names(target)
    done = pynet_(place, "sync", *words, "--delete")  # CliRunner's stdin is no terminal
    assert done.exit_code == 1
    assert "delete gone/x" in done.output
    assert "--yes says that they may" in done.output
    assert names(target) == before, "nor has anything been moved"


def test_nothing_is_deleted_when_not_all_has_arrived(place: Place) -> None:
    target, words = synced(place, "down")
    (target / "a.log").mkdir()
    done = pynet_(place, "sync", *words, "--delete", "--yes")
    assert done.exit_code == EXIT_SOME_FAILED
    assert "nothing was deleted" in done.output
    assert "gone/x" in names(target)


def test_nothing_is_deleted_when_the_source_cannot_be_listed(place: Place) -> None:
    target, words = synced(place, "down")
    before = names(target)
    done = pynet_(place, "sync", place.source / "typo", *words[1:], "--delete", "--yes")
    assert done.exit_code == 1
    assert names(target) == before


@pytest.mark.parametrize("way", ["down", "up"])
def test_links_are_not_followed_and_what_they_lead_to_stays(place: Place, way: str, tmp_path: Path) -> None:
    target, words = synced(place, way)
    (outside,) = make(tmp_path / "outside", "precious")
    (target / "door").symlink_to(outside.parent)
    assert pynet_(place, "sync", *words, "--delete", "--yes", "--links").exit_code == 0
    assert outside.exists()
    assert "door" not in names(target), "the link itself was too many"


def test_rm_removes_what_was_sent_and_says_what_is_still_there(place: Place) -> None:
    make(place.up, "a", "full/b")
    done = pynet_(place, "rm", "a", "full", "none", "--json")
    assert done.exit_code == EXIT_SOME_FAILED
    *failed, last = (json.loads(line) for line in done.output.splitlines())
    assert {one["path"]: one["reason"] for one in failed} == {
        "full": "Directory not empty",
        "none": "No such file or directory",
    }
    assert [failed[0].keys(), last.keys()] == json_keys("pynet rm")
    assert last == {"removed": 1, "failed": 2}
    assert names(place.up) == {"full/", "full/b"}
    assert pynet_(place, "rm", "full", "-r").exit_code == 0
    assert names(place.up) == set()


@pytest.mark.parametrize("path", ["..", "../source/a.log", "x/../../source/a.log", ".", "door/precious"])
def test_rm_stays_in_the_download_folder(place: Place, path: str, tmp_path: Path) -> None:
    make(place.source, "a.log")
    (outside,) = make(tmp_path / "outside", "precious")
    place.up.mkdir()
    (place.up / "door").symlink_to(outside.parent)
    assert pynet_(place, "rm", path, "-r").exit_code in (1, EXIT_SOME_FAILED)
    assert (place.source / "a.log").exists()
    assert outside.exists()
    assert place.up.exists()


def test_rm_of_full_paths_is_for_gateways_that_allow_it(tmp_path: Path) -> None:
    (tmp_path / "no").mkdir()
    (tmp_path / "yes").mkdir()
    with place_in(tmp_path / "no") as place:
        (path,) = make(place.source, "a.log")
        done = pynet_(place, "rm", path)
        assert done.exit_code == 1
        assert "lets nobody remove files" in str(done.exception)
        assert path.exists()
    with place_in(tmp_path / "yes", roots=[tmp_path / "yes/source"], allow_remove=True) as place:
        (path,) = make(place.source, "a.log")
        (outside,) = make(tmp_path, "outside.log")
        assert pynet_(place, "rm", outside).exit_code in (1, EXIT_SOME_FAILED)
        assert outside.exists()
        assert pynet_(place, "rm", path).exit_code == 0
        assert not path.exists()


def test_ls_names_what_is_there_and_with_l_how_it_is(place: Place) -> None:
    make(place.source, *NAMES)
    (place.source / "a.log").chmod(0o640)
    (place.source / "link").symlink_to("a.log")
    done = pynet_(place, "ls", f"{place.source}/")
    assert set(done.output.splitlines()) == {"a.log", "sub/", "link"}
    done = pynet_(place, "ls", f"{place.source}/", "-lr")
    rows = {line.split()[4]: line.split() for line in done.output.splitlines()}
    assert rows.keys() == {"a.log", "link", "sub/", "sub/b.log", "sub/deep/", "sub/deep/c.txt"}
    assert rows["a.log"][:2] == ["-rw-r-----", "1,000"]
    assert "link -> a.log" in done.output


def test_ls_of_the_download_folder_and_for_programs(place: Place) -> None:
    make(place.up, "in/a.log")
    done = pynet_(place, "ls", "in/", "/no/such", "--landed", "--json")
    assert done.exit_code == EXIT_SOME_FAILED
    one, failed = (json.loads(line) for line in done.output.splitlines())
    assert [one.keys(), failed.keys()] == json_keys("pynet ls")[1:]
    assert (one["path"], one["bytes"], one["kind"]) == ("a.log", 1000, "file")
    assert one["mtime_ns"] == (place.up / "in/a.log").stat().st_mtime_ns


@pytest.mark.parametrize("here", [".", "./", ""])
def test_ls_of_the_whole_download_folder(place: Place, here: str) -> None:
    make(place.up, "in/a.log", "b.log")
    done = pynet_(place, "ls", "--landed", here)
    assert done.exit_code == 0, done.output
    assert set(done.output.splitlines()) == {"in/", "b.log"}


def test_long_is_of_paths(place: Place) -> None:
    done = pynet_(place, "ls", "-l")
    assert done.exit_code == 2
    assert "name a PATH" in done.output


@pytest.mark.parametrize("verb", ["get", "put"])
def test_a_move_removes_what_has_arrived_and_nothing_else(tmp_path: Path, verb: str) -> None:
    with place_in(tmp_path, allow_remove=True) as place:
        make(place.source, *NAMES)
        target, into = (place.down, str(place.down)) if verb == "get" else (place.up, "")
        (target / "a.log").mkdir(parents=True)
        make(target, "sub/b.log")  # of the same size and time, with other contents
        wanted = {name: (place.source / name).read_bytes() for name in NAMES}
        done = pynet_(place, verb, f"{place.source}/", "--into", into, "--move")
        assert done.exit_code == EXIT_SOME_FAILED, done.output
        assert {name for name in names(place.source) if not name.endswith("/")} == {"a.log"}
        assert (place.source / "a.log").read_bytes() == wanted["a.log"]
        for name in NAMES[1:]:
            assert (target / name).read_bytes() == wanted[name]


def test_nothing_moves_where_the_gateway_lets_nobody_remove(place: Place) -> None:
    make(place.source, *NAMES)
    done = pynet_(place, "get", f"{place.source}/", "--into", place.down, "--move")
    assert done.exit_code == 1
    assert "lets nobody remove files" in str(done.exception)
    assert len(names(place.source)) == 5
    assert not place.down.exists()


def test_what_has_changed_since_it_was_read_stays(tmp_path: Path) -> None:
    with place_in(tmp_path, allow_remove=True) as place:
        make(place.source, "a.log", "b.log")
        controller = Controller(port=place.gateway.port)

        def write_on(now: TreeProgress) -> None:
            if now.files_done < 2:
                return
            with (place.source / "a.log").open("ab") as log:
                log.write(b"more")

        with pytest.raises(FilesError) as raised:
            controller.get_files(
                f"{place.source}/", place.down, options=Options(delete_source=True), on_progress=write_on
            )
        assert "has arrived, but is still there: has changed" in str(raised.value)
        assert names(place.source) == {"a.log"}


def test_what_the_source_has_in_another_form_or_of_another_age_is_not_deleted(place: Place) -> None:
    target, words = synced(place, "down")
    make(place.source, "old.log")  # of 2017
    (place.source / "sub/stray.log").symlink_to("b.log")
    (place.source / "gone").symlink_to("sub")
    (target / "old.log").write_text("written to here")
    done = pynet_(place, "sync", *words, "--newer", "1d", "--exclude", "*.tmp", "--delete", "--yes")
    assert done.exit_code == 0, done.output
    assert {"old.log", "sub/stray.log", "gone/x", "gone/y"} <= names(target)


def test_what_has_come_to_the_source_meanwhile_is_not_deleted(tmp_path: Path) -> None:
    def after_the_list(_: Peer, event: str) -> None:
        if event == "closed":
            make(tmp_path / "source", "gone/x")

    with place_in(tmp_path, on_pair=after_the_list) as here:
        target, words = synced(here, "down")
        assert pynet_(here, "sync", *words, "--delete", "--yes").exit_code == 0
        assert "gone/x" in names(target)
        assert "gone/y" not in names(target)


@pytest.mark.parametrize("words", [("", "down"), ("s", ""), ("s", "down", "--move", "--delete")])
def test_what_would_delete_more_than_anybody_means_is_wrong_use(place: Place, words: tuple[str, ...]) -> None:
    assert pynet_(place, "sync", *words, "--delete", "--yes").exit_code == 2

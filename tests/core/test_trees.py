"""Trees of files over many pairs, both ways, over real sockets, in real folders."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynet_core.controller import Controller
from pynet_core.errors import FilesCancelled, FilesError, FilesInterrupted, SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.transfer import found, intake
from pynet_core.transfer.messages import Node
from pynet_core.transfer.options import Found, Moved, Options, TreeProgress, miss
from pynet_core.transfer.stock import Stock
from pynet_core.wire import Frame
from tests.core.file_place import make
from tests.core.loopback import eventually, open_files, serving
from tests.core.relay import Relay
from tests.core.tree_place import LARGE_BYTES, assert_nothing_half, assert_same, make_tree
from tests.core.trusting import CAR, LAPTOP, trusting

KEEP_LINKS = Options(symlinks="keep")
SLOW = Options(limit_bytes_per_s=8_000_000)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    make_tree(tmp_path / "tree", random.Random(7))
    return tmp_path / "tree"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    before = open_files()
    with serving(max_poolsize=20, download_dir=str(tmp_path / "up")) as gateway:
        yield gateway
    assert eventually(lambda: open_files() <= before)


@pytest.fixture
def controller(gateway: Gateway) -> Controller:
    return Controller(port=gateway.port)


# All of it


@pytest.mark.parametrize("pairs", [1, 2, 5, None])
def test_a_tree_arrives_as_it_is(
    pairs: int | None, tree: Path, controller: Controller, tmp_path: Path
) -> None:
    moved = controller.get_files(f"{tree}/", tmp_path / "down", pairs=pairs, options=KEEP_LINKS)
    assert moved
    assert_same(tree, tmp_path / "down", links=True)
    assert moved.files == sum(path.is_file() for path in tree.rglob("*"))
    assert len(moved.pair_bytes) == (pairs or 2)


@pytest.mark.parametrize("pairs", [1, 2, 5, None])
def test_a_tree_is_stored_as_it_is(
    pairs: int | None, tree: Path, controller: Controller, tmp_path: Path
) -> None:
    moved = controller.put_files(f"{tree}/", "x/y", pairs=pairs, options=KEEP_LINKS)
    assert_same(tree, tmp_path / "up/x/y", links=True)
    assert moved.files == sum(path.is_file() for path in tree.rglob("*"))


def test_a_source_without_a_slash_lands_under_its_own_name(
    tree: Path, controller: Controller, tmp_path: Path
) -> None:
    controller.get_files([tree, tree / "script"], tmp_path / "down")
    controller.put_files([str(tree), tree / "script"])
    for folder in (tmp_path / "down", tmp_path / "up"):
        assert {path.name for path in folder.iterdir()} == {"tree", "script"}
        assert_same(tree, folder / "tree")


def test_holes_stay_holes_and_zeros_take_the_place_of_what_an_attempt_has_left(
    controller: Controller, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    sparse = tmp_path / "source/sparse"
    with sparse.open("wb") as file:
        file.truncate(40_000_000)
        file.seek(20_000_000)
        file.write(os.urandom(5000))
    controller.get_files(sparse, tmp_path / "down")
    assert (tmp_path / "down/sparse").read_bytes() == sparse.read_bytes()
    assert (tmp_path / "down/sparse").stat().st_blocks * 512 < 1_000_000


def test_holes_are_filled_if_they_may_not_stay(controller: Controller, tmp_path: Path) -> None:
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 3_000_000)
    controller.get_files(tmp_path / "sparse", tmp_path / "down", options=Options(sparse=False))
    controller.put_files(tmp_path / "sparse", options=Options(sparse=False))
    for folder in (tmp_path / "down", tmp_path / "up"):
        assert (folder / "sparse").read_bytes() == bytes(3_000_000)
        assert (folder / "sparse").stat().st_blocks * 512 >= 3_000_000


def test_under_tls_too(tree: Path, tmp_path: Path) -> None:
    with serving(
        max_poolsize=20, identity=CAR, trust=trusting(LAPTOP="admin"), download_dir=str(tmp_path / "up")
    ) as gateway:
        controller = Controller(port=gateway.port, identity=LAPTOP, trust=trusting(CAR="gateway"))
        controller.get_files(f"{tree}/", tmp_path / "down", pairs=3)
        controller.put_files(f"{tree}/", pairs=3)
    assert_same(tree, tmp_path / "down")
    assert_same(tree, tmp_path / "up")


def test_permissions_and_links_only_as_asked_for(tree: Path, controller: Controller, tmp_path: Path) -> None:
    moved = controller.get_files(f"{tree}/", tmp_path / "down", options=Options(preserve=False))
    (tmp_path / "plain").touch()
    for name in ("script", "a/sparse"):
        assert (tmp_path / "down" / name).stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert moved.skipped == {str(tree / "a/link"): "is a link"}
    assert not (tmp_path / "down/a/link").exists()


# Which


def test_what_is_not_selected_stays_and_nothing_below_a_folder_is_asked_about(
    tree: Path, controller: Controller, tmp_path: Path
) -> None:
    asked: list[str] = []

    def select(found: Found) -> bool:
        asked.append(found.path)
        return found.path != "a" and not found.path.startswith(".hid")

    controller.get_files(f"{tree}/", tmp_path / "down", options=Options(select=select))
    controller.put_files(f"{tree}/", options=Options(select=select))
    assert not any(path.startswith(("a/", ".hidden/")) for path in asked)
    for folder in (tmp_path / "down", tmp_path / "up"):
        assert not (folder / "a").exists()
        assert (folder / "script").exists()


def test_a_regex_picks_files_by_full_path(tree: Path, controller: Controller, tmp_path: Path) -> None:
    controller.get_files(f"{tree}/", tmp_path / "down", regex=".*/large")
    assert {path.name for path in (tmp_path / "down").rglob("*") if path.is_file()} == {"large0", "large1"}


def test_not_recursive_is_the_files_of_the_folder(tree: Path, controller: Controller, tmp_path: Path) -> None:
    moved = controller.get_files(f"{tree}/", tmp_path / "down", options=Options(recursive=False))
    assert all(path.is_file() for path in (tmp_path / "down").iterdir())
    assert moved.skipped[str(tree / "a")] == "is a folder"


def test_files_narrow_a_source(tree: Path, controller: Controller, tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="No such file") as caught:
        controller.get_files(f"{tree}/", tmp_path / "down", files=["script", "a/sparse", "no", "empty"])
    assert list(caught.value.failed) == [str(tree / "no")]
    here = {str(path.relative_to(tmp_path / "down")) for path in (tmp_path / "down").rglob("*")}
    assert here == {"script", "a", "a/sparse", "empty", "empty/deeper"}


def test_listing_shows_what_would_move(tree: Path, controller: Controller) -> None:
    found = {one.path: one for one in controller.list_files(f"{tree}/", options=KEEP_LINKS)}
    assert found.keys() == {str(path.relative_to(tree)) for path in tree.rglob("*")}
    assert (found["a/link"].kind, found["a/link"].target) == ("link", "b b")
    assert (found["script"].kind, found["script"].size, found["script"].mode) == ("file", 10, 0o750)


# Again


def test_the_same_again_moves_nothing(tree: Path, controller: Controller, tmp_path: Path) -> None:
    for options in (Options(), Options(checksum=True)):
        first = controller.get_files(f"{tree}/", tmp_path / "down")
        again = controller.get_files(f"{tree}/", tmp_path / "down", options=options)
        assert (again.files, again.bytes, again.same) == (0, 0, first.files + first.same)
        controller.put_files(f"{tree}/")
        again = controller.put_files(f"{tree}/", options=options)
        assert (again.files, again.bytes, again.same) == (0, 0, first.files + first.same)
    assert_same(tree, tmp_path / "down")


def test_checksums_find_what_time_and_size_hide(tree: Path, controller: Controller, tmp_path: Path) -> None:
    down = tmp_path / "down"
    controller.get_files(f"{tree}/", down)
    large = next(path.relative_to(tree) for path in tree.rglob("large0"))
    for name in (Path("script"), large):
        was = (down / name).stat()
        (down / name).write_bytes(b"x" * was.st_size)
        os.utime(down / name, ns=(was.st_mtime_ns, was.st_mtime_ns))
    assert controller.get_files(f"{tree}/", down).files == 0
    assert controller.get_files(f"{tree}/", down, options=Options(checksum=True)).files == 2
    assert_same(tree, down)


@pytest.mark.parametrize("way", ["down", "up"])
def test_a_cut_transfer_leaves_nothing_half_and_goes_on(
    way: str, tree: Path, gateway: Gateway, tmp_path: Path
) -> None:
    (tree / "huge").write_bytes(os.urandom(20_000_000))
    limits: dict[str, Any] = {f"cut_{way}": 12_000_000}
    target = tmp_path / way

    def move(port: int) -> Any:
        controller = Controller(port=port)
        if way == "down":
            return controller.get_files(f"{tree}/", target, pairs=1)
        return controller.put_files(f"{tree}/", pairs=1)

    with Relay(gateway.port, **limits) as relay, pytest.raises(FilesInterrupted) as caught:
        move(relay.port)
    assert caught.value.moved is not None
    assert_nothing_half(tree, target)
    assert list(target.glob(".*.pynet.part"))
    assert eventually(lambda: gateway.files.is_idle())
    with Relay(gateway.port) as relay:
        move(relay.port)
        assert relay.down_bytes + relay.up_bytes < 18_000_000  # of 26, of which 12 had come
    assert_same(tree, target)


def test_a_part_that_was_changed_meanwhile_is_not_believed(
    tree: Path, gateway: Gateway, tmp_path: Path
) -> None:
    huge = tree / "huge"
    huge.write_bytes(os.urandom(20_000_000))
    down = tmp_path / "down"
    with Relay(gateway.port, cut_down=15_000_000) as relay, pytest.raises(FilesInterrupted):
        Controller(port=relay.port).get_files(huge, down, pairs=1)
    (staging,) = down.glob(".*.pynet.part")
    (part,) = (path for path in staging.iterdir() if path.suffix != ".ranges")
    with part.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"somebody else")
    Controller(port=gateway.port).get_files(huge, down, pairs=3)
    assert (down / "huge").read_bytes() == huge.read_bytes()
    assert [path.name for path in down.iterdir()] == ["huge"]


def test_every_file_that_fails_is_named_however_many(tmp_path: Path, controller: Controller) -> None:
    names = [f"no{number}" for number in range(12_000)]
    (tmp_path / "tree").mkdir()
    with pytest.raises(FilesError, match="and 11900 more") as caught:
        controller.get_files(f"{tmp_path}/tree/", tmp_path / "down", files=names, pairs=1)
    assert len(caught.value.failed) == 12_000


def test_what_is_not_kept_by_name_is_counted_and_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    moved = Moved()
    for number in range(3):
        miss(moved, f"/f{number}", "has vanished", wanted=True, most=2)
    assert (len(moved.failed), moved.failed_count) == (2, 3)
    assert [record.getMessage() for record in caplog.records] == ["'/f2' has vanished"]


@pytest.mark.parametrize("pairs", [1, 3])
@pytest.mark.parametrize("way", ["down", "up"])
def test_the_list_rests_while_much_waits_and_nobody_else_brings(
    way: str, pairs: int, controller: Controller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So one pair does not hold the list of a large tree in memory."""
    make(tmp_path / "tree", *(f"{number % 7}/{number}" for number in range(1500)), size=0)
    most = 0

    class Watched(Stock):
        def add_small(self, base: bytes, nodes: Iterable[Node]) -> None:
            nonlocal most
            super().add_small(base, nodes)
            most = max(most, self._waiting)

    monkeypatch.setattr(intake, "Stock", lambda: Watched(200))
    monkeypatch.setattr(found, "ROUND_THINGS", 300)
    if way == "down":
        moved = controller.get_files(f"{tmp_path}/tree/", tmp_path / "down", pairs=pairs)
    else:
        moved = controller.put_files(f"{tmp_path}/tree/", pairs=pairs)
    assert (moved.files, moved.folders) == (1500, 7)
    assert len(moved.pair_bytes) == pairs
    assert most <= 400  # a round, and as many as do not hold it up
    assert_same(tmp_path / "tree", tmp_path / way)


# What dies


def test_what_a_dead_pair_held_is_brought_by_the_others(tree: Path, gateway: Gateway, tmp_path: Path) -> None:
    (tree / "huge").write_bytes(os.urandom(30_000_000))
    with Relay(gateway.port, cut_down=2_000_000) as relay:
        # Of the pairs, every one but the first goes through a relay that cuts.
        controller = Controller(port=gateway.port)
        ports = iter([relay.port])

        def open_pair(_: object = None, ahead: Frame | None = None) -> Any:
            port = gateway.port if ahead is not None else next(ports, gateway.port)
            return Controller(port=port)._bulk_pair(None, ahead)

        controller._bulk_pair = open_pair  # type: ignore[method-assign,assignment]
        moved = controller.get_files(f"{tree}/", tmp_path / "down", pairs=3)
    assert moved
    assert_same(tree, tmp_path / "down")


@pytest.mark.parametrize("pairs", [1, 3])
def test_a_pair_that_is_lost_is_opened_anew(pairs: int, tree: Path, gateway: Gateway, tmp_path: Path) -> None:
    (tree / "huge").write_bytes(os.urandom(10_000_000))
    cuts = 0

    def cut(step: TreeProgress) -> None:
        nonlocal cuts
        if step.is_listed and cuts < 2 and step.bytes_done > (cuts + 1) * 2_000_000:
            cuts += 1
            relay.cut_all()

    with Relay(gateway.port) as relay:
        moved = Controller(port=relay.port).get_files(
            f"{tree}/", tmp_path / "down", pairs=pairs, on_progress=cut, options=SLOW
        )
    assert cuts == 2
    assert len(moved.pair_bytes) == pairs
    assert_same(tree, tmp_path / "down")


def test_of_an_upload_a_pair_that_is_lost_is_opened_anew(
    tree: Path, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "huge").write_bytes(os.urandom(10_000_000))
    had = 0

    def cut(step: TreeProgress) -> None:
        nonlocal had
        if not had and relay.up_bytes > 1_000_000:
            had = relay.up_bytes
            relay.cut_all()

    with Relay(gateway.port) as relay:
        ports = iter([gateway.port])  # the first goes straight; without it there is no transfer
        controller = Controller(port=gateway.port)
        monkeypatch.setattr(
            controller,
            "_bulk_pair",
            lambda: Controller(port=next(ports, relay.port)).get_client(purpose="bulk"),
        )
        moved = controller.put_files(f"{tree}/", pairs=2, on_progress=cut, options=SLOW)
        assert had
        assert relay.up_bytes > had + 500_000
    assert len(moved.pair_bytes) == 2
    assert_same(tree, tmp_path / "up")


@contextlib.contextmanager
def twins(tree: Path, tmp_path: Path, **options: Any) -> Iterator[tuple[Path, list[tuple[str, int]]]]:
    """Two gateways with the same tree at the same path: here it is one tree."""
    with serving(max_poolsize=9) as first, serving(max_poolsize=9, **options) as second:
        yield tmp_path / "down", [("127.0.0.1", first.port), ("127.0.0.1", second.port)]


def test_several_gateways_share_the_work(tree: Path, tmp_path: Path) -> None:
    for number in range(8):
        (tree / f"more{number}").write_bytes(os.urandom(5_000_000))
    with twins(tree, tmp_path) as (down, gateways):
        moved = Controller().get_files(f"{tree}/", down, pairs=4, gateways=gateways)
    assert_same(tree, down)
    assert sum(moved.pair_bytes[0::2]) > 0
    assert sum(moved.pair_bytes[1::2]) > 0


def test_what_another_gateway_does_not_have_the_first_gives(tree: Path, tmp_path: Path) -> None:
    for number in range(8):
        (tree / f"more{number}").write_bytes(os.urandom(2_000_000))
    with twins(tree, tmp_path, roots=[tree / "a"]) as (down, gateways):
        assert Controller().get_files(f"{tree}/", down, pairs=4, gateways=gateways)
    assert_same(tree, down)


def test_a_gateway_that_dies_costs_nothing_if_another_has_the_tree(tree: Path, tmp_path: Path) -> None:
    for number in range(8):
        (tree / f"more{number}").write_bytes(os.urandom(5_000_000))
    with twins(tree, tmp_path) as (down, gateways), Relay(gateways[1][1], cut_down=3_000_000) as relay:
        several = [gateways[0], ("127.0.0.1", relay.port)]
        assert Controller().get_files(f"{tree}/", down, pairs=4, gateways=several)
        assert relay.down_bytes > 0
    assert_same(tree, down)


def test_a_full_pool_is_enough_with_one_place(tree: Path, tmp_path: Path) -> None:
    with serving(max_poolsize=1) as gateway:
        controller = Controller(port=gateway.port)
        for number in range(5):  # the pairs are opened beside each other: any may get the place
            assert controller.get_files(f"{tree}/", tmp_path / f"down{number}", pairs=4)
            assert_same(tree, tmp_path / f"down{number}")


def test_cancel_ends_it_and_the_next_goes_on(tree: Path, controller: Controller, tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    (tree / "huge").write_bytes(os.urandom(60_000_000))
    with pytest.raises(FilesCancelled):
        controller.get_files(f"{tree}/", tmp_path / "down", cancel=cancel)
    assert_nothing_half(tree, tmp_path / "down")
    controller.get_files(f"{tree}/", tmp_path / "down")
    assert_same(tree, tmp_path / "down")


def test_what_progress_raises_comes_out(tree: Path, controller: Controller, tmp_path: Path) -> None:
    (tree / "huge").write_bytes(os.urandom(60_000_000))
    stop = ValueError("enough")

    def on_progress(step: TreeProgress) -> None:
        raise stop

    with pytest.raises(ValueError, match="enough") as caught:
        controller.get_files(f"{tree}/", tmp_path / "down", on_progress=on_progress)
    assert caught.value is stop
    with pytest.raises(ValueError, match="enough"):
        controller.put_files(f"{tree}/", on_progress=on_progress)


@pytest.mark.parametrize("way", ["down", "up"])
def test_the_last_progress_says_all(way: str, tree: Path, controller: Controller, tmp_path: Path) -> None:
    steps: list[TreeProgress] = []
    if way == "down":
        controller.get_files(f"{tree}/", tmp_path / "down", on_progress=steps.append)
    else:
        controller.put_files(f"{tree}/", on_progress=steps.append)
    last = steps[-1]
    assert last.is_listed
    assert (last.files_done, last.bytes_done) == (last.files, last.bytes)
    assert last.files == sum(path.is_file() for path in tree.rglob("*") if not path.is_symlink())


# What goes wrong with one file


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize("size", [100, LARGE_BYTES + 5_000_000])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (grow, "grown"),
        (Path.unlink, "vanished"),
        (lambda path: path.chmod(0), "Permission denied|written to"),
    ],
)
def test_a_file_that_changes_is_named_and_the_rest_arrives(
    change: Callable[[Path], None], said: str, size: int, way: str, controller: Controller, tmp_path: Path
) -> None:
    """Between the list and the first byte: whoever selects it last sees it before that."""
    source = tmp_path / "source"
    changed = threading.Event()
    make(source, "a", "z")
    (victim,) = make(source, "m", size=size)

    def select(found: Found) -> bool:
        if found.path == "z" and not changed.is_set():
            changed.set()
            change(victim)
        return True

    with pytest.raises(FilesError, match=said) as caught:
        if way == "down":
            controller.get_files(f"{source}/", tmp_path / "down", options=Options(select=select), pairs=1)
        else:
            controller.put_files(f"{source}/", options=Options(select=select), pairs=1)
    assert list(caught.value.failed) == [str(victim)]
    assert caught.value.moved is not None
    assert caught.value.moved.files == 2
    assert {path.name for path in (tmp_path / way).iterdir() if path.is_file()} == {"a", "z"}


def test_a_folder_in_the_way_and_a_file_in_the_way_cost_their_own(
    controller: Controller, tmp_path: Path
) -> None:
    source, down = tmp_path / "source", tmp_path / "down"
    make(source, "a", "b", "c/d")
    (down / "a").mkdir(parents=True)
    (down / "c").write_text("no folder")
    with pytest.raises(FilesError) as caught:
        controller.get_files(f"{source}/", down)
    assert caught.value.failed.keys() == {str(source / "a"), str(source / "c"), str(source / "c/d")}
    assert (down / "b").read_bytes() == (source / "b").read_bytes()


def test_a_gateway_that_cannot_list_says_so(controller: Controller, tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="No such file"):
        controller.get_files("/no/such/tree", tmp_path / "down")
    with pytest.raises(SubroutineError, match="not a regex"):
        controller.get_files(tmp_path, tmp_path / "down", regex="(")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"source": []}, ValueError),
        ({"source": 5}, TypeError),
        ({"source": "x", "pairs": 0}, ValueError),
        ({"source": "x", "pairs": "two"}, TypeError),
        ({"source": "x", "files": "abc"}, TypeError),
    ],
)
def test_wrong_arguments_are_told_at_once(
    arguments: dict[str, Any], error: type[Exception], controller: Controller
) -> None:
    with pytest.raises(error):
        controller.get_files(**arguments)


# The jail


def test_below_roots_no_link_leads_out(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/s").write_text("secret")
    (tree / "out").symlink_to(tmp_path / "secret")
    with serving(roots=[tree]) as gateway:
        controller = Controller(port=gateway.port)
        for source in (f"{tree}/out/", tree / "out/s", tmp_path / "secret", f"{tree}/../secret/"):
            with pytest.raises(FilesError):
                controller.get_files(source, tmp_path / "down")
        controller.get_files(f"{tree}/", tmp_path / "down", options=KEEP_LINKS)
    assert (tmp_path / "down/out").is_symlink()
    assert not any(path.name == "s" for path in (tmp_path / "down").iterdir())


def test_a_link_where_a_folder_should_be_is_not_followed(controller: Controller, tmp_path: Path) -> None:
    source, down = tmp_path / "source", tmp_path / "down"
    make(source, "sub/file")
    (tmp_path / "outside").mkdir()
    down.mkdir()
    (down / "sub").symlink_to(tmp_path / "outside")
    with pytest.raises(FilesError):
        controller.get_files(f"{source}/", down)
    assert not list((tmp_path / "outside").iterdir())


def test_a_root_itself_can_be_a_source_and_nothing_else_of_where_it_stands(
    tree: Path, tmp_path: Path
) -> None:
    (tree.parent / "beside").mkdir()
    (tree.parent / "beside/secret").write_text("x")
    into = tmp_path / "here"
    with serving(roots=[tree]) as gateway:
        controller = Controller(port=gateway.port)
        moved = controller.get_files(tree, into)
        assert moved.failed == {}
        assert_same(tree, into / tree.name)
        for source in (tree.parent, tree.parent / "beside", tree.parent / "beside/secret"):
            with pytest.raises(FilesError, match="outside the folders"):
                controller.get_files(source, into)
        with pytest.raises(FilesError):
            controller.get_files(tree.parent, into, files=[f"{tree.name}/../beside/secret"])
    assert {path.name for path in into.iterdir()} == {tree.name}

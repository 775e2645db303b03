"""Trees from and for peers that mean harm, and disks that do not take them."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from pynet_core.controller import Controller
from pynet_core.errors import FilesError, FilesInterrupted, ProtocolError, RemoteProtocolError
from pynet_core.transfer.folders import check_path
from pynet_core.transfer.jail import PathRefused
from pynet_core.transfer.messages import (
    FILE,
    FOLDER,
    LINK,
    LOST,
    Bit,
    Node,
    Packed,
    Pull,
    Store,
    Tree,
)
from pynet_core.transfer.options import Options
from pynet_core.wire import Frame, Kind, pack_body, unpack_body
from tests.core.file_frames import DIGEST, END, answer_pulls, found
from tests.core.file_place import make
from tests.core.loopback import FakeGateway, RawPeer, eventually, open_files, serving
from tests.core.test_files_broken import mounted
from tests.core.test_files_hostile import hostile_names
from tests.core.tree_place import LARGE_BYTES, assert_nothing_half, assert_same, make_tree

pytestmark = pytest.mark.shared

SECRET: Final = b"secret"


# Paths


def hostile_path(rng: random.Random, names: list[bytes]) -> bytes:
    return b"/".join(rng.choice(names) for _ in range(rng.randint(1, 4)))[:4000]


def test_of_a_hundred_thousand_hostile_paths_those_let_through_stay_below_their_folder() -> None:
    rng = random.Random(1)
    through = 0
    for seed in range(100):
        names = hostile_names(seed, 100)
        for _ in range(1000):
            path = hostile_path(rng, names)
            with contextlib.suppress(PathRefused):
                check_path(path)
                through += 1
                steps = path.split(b"/")
                assert not {b"", b".", b".."}.intersection(steps), path
                assert b"\0" not in path
                assert b"\\" not in path
                assert not any(step.lower().endswith(b".pynet.part") for step in steps), path
                assert os.path.normpath(path) == path
    assert through > 1000


@contextlib.contextmanager
def fake_gateway(behave: Callable[[RawPeer], object]) -> Iterator[Controller]:
    """A gateway that behaves like this on its one connection."""

    def serve() -> None:
        with gateway.accept_and_welcome() as peer, contextlib.suppress(OSError, EOFError):
            behave(peer)
            peer.hears_the_end()

    with FakeGateway() as gateway:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Controller(port=gateway.port)
        finally:
            thread.join(20)


@pytest.mark.parametrize("links", [False, True])
def test_a_hostile_gateways_tree_stays_below_the_folder_it_lands_in(links: bool, tmp_path: Path) -> None:
    """Its own links lead out, and files follow that would go through them."""
    rng = random.Random(5)
    names = [*hostile_names(5, 60), b"a", b"b", b"out", b"up"]
    nodes = [Node(b"out", LINK, 0, 0, 0, 0, 0o777, os.fsencode(tmp_path / "outside"))]
    for _ in range(3000):
        kind = rng.choice([FILE, FILE, FOLDER, LINK])
        target = rng.choice([b"..", b"/etc", os.fsencode(tmp_path / "outside"), b"../outside", b"x" * 300])
        path = hostile_path(rng, names)
        nodes.append(Node(path, kind, 3, rng.choice([0, -1, 2**62]), 0, 0, rng.choice([0, 0o4777]), target))
    (tmp_path / "outside").mkdir()

    def behave(peer: RawPeer) -> None:
        peer.receive()
        for start in range(0, len(nodes), 100):
            peer.send(found(*nodes[start : start + 100]))
        peer.send(END)
        assert peer.receive().kind == Kind.FETCH
        answer_pulls(peer)
        peer.send(END)

    with fake_gateway(behave) as controller, pytest.raises(FilesError) as caught:
        options = Options(symlinks="keep" if links else "skip")
        controller.get_files("/x", tmp_path / "deep/down", pairs=1, options=options)
    assert caught.value.moved is not None
    assert caught.value.moved.files > 10
    assert {path.name for path in tmp_path.iterdir()} == {"outside", "deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"down"}
    assert not list((tmp_path / "outside").iterdir())
    for folder, _, files in os.walk(tmp_path / "deep/down"):
        for one in (Path(folder, name) for name in files):
            if one.is_symlink():
                assert links
            else:
                assert one.read_bytes() == b"abc"
                assert one.stat().st_mode & 0o7000 == 0


PIECE: Final = Node(b"large", FILE, LARGE_BYTES, 7, 8, 9, 0o644)
SMALL: Final = Node(b"small", FILE, 3, 7, 8, 9, 0o644)


@pytest.mark.parametrize(
    ("node", "answers"),
    [
        (SMALL, [Frame(Kind.PACK, 5, b"\xff" * 20)]),
        (SMALL, [Frame(Kind.PACK, -1, b"")]),
        (SMALL, [Frame(Kind.RAW, 0, b"abc")]),
        (SMALL, [Frame(Kind.SEAL, 0, bytes(16))]),
        (SMALL, [Frame(Kind.HOLE, 0, bytes(20))]),
        (PIECE, [Frame(Kind.RAW, 1, bytes(100))]),
        (PIECE, [Frame(Kind.RAW, 0, bytes(LARGE_BYTES + 1))]),
        (PIECE, [Frame(Kind.RAW, 0, bytes(100)), Frame(Kind.SEAL, 0, bytes(16))]),
        (PIECE, [Frame(Kind.RAW, 0, b"")]),
        (PIECE, [Frame(Kind.HOLE, 0, b"\xff")]),
        (PIECE, [Frame(Kind.SAME)]),
        (PIECE, [Frame(Kind.LOST, 0, b"\xff")]),
        (PIECE, [Frame(Kind.PACK, 0, b"")]),
    ],
)
def test_a_gateway_that_answers_what_was_not_asked_loses_the_pair_and_nothing_half_lands(
    node: Node, answers: list[Frame], tmp_path: Path
) -> None:
    before = open_files()

    def behave(peer: RawPeer) -> None:
        peer.receive()
        peer.send(found(node), END)
        assert peer.receive().kind == Kind.FETCH
        assert peer.receive().kind == Kind.PULL
        peer.send(*answers)

    with fake_gateway(behave) as controller, pytest.raises((ProtocolError, FilesInterrupted)):
        controller.get_files("/x", tmp_path / "down", pairs=1)
    assert not [path for path in (tmp_path / "down").iterdir() if not path.name.endswith(".part")]
    assert eventually(lambda: open_files() <= before)


@pytest.mark.parametrize("size", [3, LARGE_BYTES])
def test_bytes_that_are_not_what_was_hashed_do_not_land(size: int, tmp_path: Path) -> None:
    def behave(peer: RawPeer) -> None:
        peer.receive()
        peer.send(found(Node(b"a", FILE, size, 7, 8, 9, 0o644)), END)
        assert peer.receive().kind == Kind.FETCH
        pull = unpack_body(peer.receive().body, Pull)
        if pull.packed:
            head = pack_body(Packed(sizes=[3], digests=bytes(16)))
            peer.send(Frame(Kind.PACK, len(head), head + b"abc"))
        else:
            peer.send(Frame(Kind.RAW, 0, bytes(size)), Frame(Kind.SEAL, 0, bytes(16)))
        answer_pulls(peer)
        peer.send(END)

    with fake_gateway(behave) as controller, pytest.raises(FilesError, match="arrived corrupted"):
        controller.get_files("/x", tmp_path / "down", pairs=1)
    assert not (tmp_path / "down/a").exists()


# Asking for what is not for them


def test_a_controller_reads_nothing_outside_the_roots(tmp_path: Path) -> None:
    make(tmp_path / "root", "open")
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "root/link").symlink_to(tmp_path / "secret")
    (tmp_path / "root/up").symlink_to(tmp_path)
    state = (tmp_path / "secret").stat()
    root = os.fsencode(tmp_path / "root")
    bases = [root, root + b"/..", root + b"/up", os.fsencode(tmp_path), b"", b".", b"/", b"\0"]
    names = [
        b"secret",
        b"../secret",
        b"link",
        b"up/secret",
        b"./secret",
        b"/secret",
        b"",
        *hostile_names(3, 200),
    ]
    with serving(roots=[tmp_path / "root"]) as gateway, RawPeer.greeted(gateway.port) as peer:
        peer.send(Frame(Kind.FETCH))
        for base in bases:
            for packed in (True, False):
                for start in range(0, len(names), 50):
                    bits = [
                        Bit(
                            name, state.st_size, state.st_mtime_ns, 0, 0, b"", 0, 0 if packed else len(SECRET)
                        )
                        for name in names[start : start + (50 if packed else 1)]
                    ]
                    pull = Pull(base=base, digest=DIGEST, bits=bits, packed=packed)
                    peer.send(Frame(Kind.PULL, 0, pack_body(pull)))
                    answer = peer.receive()
                    assert SECRET not in answer.body.replace(b"'secret'", b"")
                    if packed:
                        assert set(unpack_body(answer.body[: answer.ident], Packed).sizes) == {LOST}
                    else:
                        assert answer.kind == Kind.LOST
        peer.send(END)
        assert peer.receive().kind == Kind.END


@pytest.mark.parametrize(
    "body",
    [
        Pull(base=b"/", digest="md5", bits=[], packed=True),
        Pull(base=b"/", digest=DIGEST, bits=[Bit(b"x", 1, 0)] * 129, packed=True),
        Pull(base=b"/", digest=DIGEST, bits=[Bit(b"x", 2**40, 0)], packed=True),
        Pull(base=b"/", digest=DIGEST, bits=[], packed=False),
        Pull(base=b"/", digest=DIGEST, bits=[Bit(b"x", 5, 0, 0, 0, b"", 3, 3)], packed=False),
    ],
)
def test_a_controller_that_pulls_nonsense_loses_its_pair(body: Pull) -> None:
    with serving() as gateway, RawPeer.greeted(gateway.port) as peer:
        peer.send(Frame(Kind.FETCH), Frame(Kind.PULL, 0, pack_body(body)))
        assert peer.hears_the_end()


def test_a_gateway_gets_nothing_that_was_not_offered_to_it(tmp_path: Path) -> None:
    make(tmp_path / "home", "offered", "private", "sub/unselected")
    private = (tmp_path / "home/private").stat()
    inner = (tmp_path / "home/sub/unselected").stat()
    answers: list[Frame] = []

    def behave(peer: RawPeer) -> None:
        while peer.receive().kind != Kind.END:
            pass
        for base, path, state in (
            (tmp_path / "home", b"private", private),
            (tmp_path, b"home/private", private),
            (tmp_path / "home", b"sub/unselected", inner),
            (tmp_path / "home", b"sub/../private", private),
        ):
            bit = Bit(path, state.st_size, state.st_mtime_ns)
            pull = Pull(base=os.fsencode(base), digest=DIGEST, bits=[bit], packed=True)
            peer.send(Frame(Kind.PULL, 0, pack_body(pull)))
            answers.append(peer.receive())
        peer.send(END)

    with fake_gateway(behave) as controller:
        sources = [tmp_path / "home/offered", tmp_path / "home/sub"]
        options = Options(select=lambda found: not found.path.endswith("unselected"))
        with pytest.raises(RemoteProtocolError, match="offered 1 files and tells of 0"):
            controller.put_files(sources, pairs=1, options=options)
    assert len(answers) == 4
    for answer in answers:
        assert unpack_body(answer.body[: answer.ident], Packed).sizes == [LOST]


@pytest.mark.parametrize(
    "sent",
    [
        [Frame(Kind.TREE, 0, b"\xff")],
        [Frame(Kind.STORE, 0, b"\xff")],
        [Frame(Kind.STORE, 0, pack_body(Store(transfer=bytes(16), key=bytes(16), folder="", fsync="x")))],
        [Frame(Kind.JOIN, 0, b"\xff")],
        [Frame(Kind.MORE)],
        [Frame(Kind.TREE, 0, pack_body(Tree(sources=[], rests=True)))],
        [Frame(Kind.FETCH), Frame(Kind.PACK, 0, b"")],
        [Frame(Kind.PULL)],
    ],
)
def test_a_controller_that_talks_nonsense_loses_its_own_pair(sent: list[Frame], tmp_path: Path) -> None:
    with serving(download_dir=str(tmp_path / "up")) as gateway:
        with RawPeer.greeted(gateway.port) as peer:
            peer.send(*sent)
            assert peer.hears_the_end()
        with Controller(port=gateway.port).get_client() as client:
            client.ping()
    assert not (tmp_path / "up").exists()


# Disks


@pytest.mark.root
@pytest.mark.parametrize("way", ["down", "up"])
def test_on_a_full_disk_what_fits_arrives_the_rest_is_named_and_later_goes_on(
    way: str, tmp_path: Path
) -> None:
    tree, target = tmp_path / "tree", tmp_path / way
    make_tree(tree, random.Random(3), small=30, large=2)
    (tree / "huge").write_bytes(os.urandom(40_000_000))

    def move() -> None:
        with serving(max_poolsize=8, download_dir=str(tmp_path / "up")) as gateway:
            controller = Controller(port=gateway.port)
            if way == "down":
                controller.get_files(f"{tree}/", target, pairs=3)
            else:
                controller.put_files(f"{tree}/", pairs=3)

    with mounted(target, "size=20m"):
        with pytest.raises(FilesError, match="No space left") as caught:
            move()
        assert str(tree / "huge") in caught.value.failed
        assert not [path for path in caught.value.failed if "small" in path], "there is room for these"
        assert caught.value.moved is not None
        assert caught.value.moved.files > 5
        assert_nothing_half(tree, target)
        mount_again = ["mount", "-o", "remount,size=200m", str(target)]
        assert os.spawnvp(os.P_WAIT, "mount", mount_again) == 0
        move()
        assert_same(tree, target)


@pytest.mark.root
def test_a_disk_that_may_only_be_read_is_told(tmp_path: Path) -> None:
    make(tmp_path / "tree", "a")
    with (
        mounted(tmp_path / "down", "ro"),
        serving() as gateway,
        pytest.raises(FilesError, match="Read-only file system"),
    ):
        Controller(port=gateway.port).get_files(tmp_path / "tree", tmp_path / "down")

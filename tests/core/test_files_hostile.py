"""Files and peers that mean harm: each costs its own connection, and reaches nothing that it should not."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.errors import FilesError, LinkError, ProtocolError, RemoteProtocolError
from pynet_core.gateway import Gateway
from pynet_core.transfer import listing, storing
from pynet_core.transfer.jail import PathRefused, landing_name
from pynet_core.transfer.messages import FOLDER, LOST, Bit, Missed, Node, Nodes, Packed, Pull, Query, Report
from pynet_core.transfer.stock import SMALL_BYTES
from pynet_core.wire import Failure, Frame, Kind, pack_body, unpack_body
from tests.core.file_frames import (
    DIGEST,
    END,
    answer_pulls,
    file_node,
    found,
    pack,
    pull,
    pull_of,
    store,
)
from tests.core.file_place import make
from tests.core.loopback import FakeGateway, RawPeer, eventually, open_files, serving
from tests.core.test_transfer_jail import EVIL, SNIPPETS

SECRET: Final = b"the secret that nobody may read"


def hostile_names(seed: int, count: int) -> list[bytes]:
    """Different ones; made by hand because Hypothesis takes a millisecond for each."""
    rng = random.Random(seed)
    names: set[bytes] = set()
    while len(names) < count:
        kind = rng.randrange(4)
        if kind == 0:
            names.add(rng.choice(EVIL))
        elif kind == 1:
            names.add(rng.randbytes(rng.randrange(1, 40)))
        else:
            names.add(os.fsencode("".join(rng.choices(SNIPPETS, k=rng.randrange(12)))))
    return sorted(names)


seeds = st.integers(0, 2**32)


@pytest.fixture
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 files are not waited for until the disk has each of them."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def offer(*names: bytes, size: int = 3) -> Frame:
    return found(*(file_node(name, size) for name in names))


# A gateway that means harm


@contextlib.contextmanager
def fake_gateway(folder: Path, behave: Callable[[RawPeer], object]) -> Iterator[Client]:
    """A client of a gateway that behaves like this once it has been asked for something."""

    def answer() -> None:
        with fake.accept_and_welcome() as peer, contextlib.suppress(OSError, EOFError):
            behave(peer)
            peer.hears_the_end()

    with FakeGateway() as fake:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with Controller(port=fake.port, download_dir=str(folder)).get_client() as client:
            yield client
            client.abort()
        thread.join(10)
        assert not thread.is_alive()


def offering(*names: bytes, then: tuple[Frame, ...], size: int = 3) -> Callable[[RawPeer], object]:
    def behave(peer: RawPeer) -> None:
        assert peer.receive().kind == Kind.LIST
        peer.send(offer(*names, size=size), END)
        assert peer.receive().kind == Kind.FETCH
        peer.receive()
        peer.send(*then)

    return behave


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=seeds)
def test_ten_thousand_names_a_gateway_offers_write_nothing_outside_the_download_folder(
    seed: int, tmp_path: Path, no_flush: None
) -> None:
    """The gateway sends every file that is asked for."""
    names = hostile_names(seed, 100)

    def behave(peer: RawPeer) -> None:
        peer.receive()
        peer.send(offer(*names), END)
        assert peer.receive().kind == Kind.FETCH
        answer_pulls(peer)
        peer.send(END)

    base = tmp_path / os.urandom(8).hex()
    (base / "outside").mkdir(parents=True)
    with fake_gateway(base / "down/load", behave) as client:
        try:
            arrived = list(client.get_files_from_gateway(folder="/"))
        except FilesError as exc:
            arrived = exc.arrived
    allowed = set()
    for name in names:
        with contextlib.suppress(PathRefused):
            allowed.add(landing_name(name))
    assert {Path(path).name for path in arrived} == allowed
    assert {path.name for path in base.iterdir()} <= {"outside", "down"}
    assert list((base / "outside").iterdir()) == []
    if allowed:
        assert {path.name for path in (base / "down/load").iterdir()} == allowed
        assert {path.name for path in (base / "down").iterdir()} == {"load"}


LARGE: Final = SMALL_BYTES + 1
RAW: Final = Frame(Kind.RAW, 0, bytes(100))


@pytest.mark.parametrize(
    ("size", "then"),
    [
        (3, (pack(b"abcd"),)),
        (3, (pack(b"ab"),)),
        (3, (pack(),)),
        (3, (pack(b"abc", b"abc"),)),
        (3, (Frame(Kind.PACK, 9, b"short"),)),
        (3, (Frame(Kind.PACK, -1, b""),)),
        (3, (Frame(Kind.RAW, 0, b"abc"),)),
        (3, (Frame(Kind.SAME),)),
        (3, (Frame(Kind.SEAL, 0, bytes(16)),)),
        (3, (Frame(Kind.LOST, 0, b"\xff"),)),
        (LARGE, (pack(b"abc"),)),
        (LARGE, (Frame(Kind.RAW, 1, bytes(100)),)),
        (LARGE, (Frame(Kind.RAW, -1, bytes(100)),)),
        (LARGE, (RAW, RAW)),
        (LARGE, (Frame(Kind.RAW, 0, bytes(LARGE + 1)),)),
        (LARGE, (RAW, Frame(Kind.SAME))),
        (LARGE, (RAW, Frame(Kind.SEAL, 0, bytes(16)))),
        (LARGE, (Frame(Kind.SAME),)),
        (LARGE, (Frame(Kind.LOST, 0, b"\xff"),)),
        (3, (Frame(Kind.REPORT),)),
        (3, (END,)),
        (3, (Frame(Kind.PULL),)),
        (3, (Frame(Kind.FOUND),)),
        (3, (Frame(Kind.ITEM, 0, b"abc"),)),
    ],
)
def test_a_gateway_that_sends_what_was_not_asked_for_loses_the_pair(
    size: int, then: tuple[Frame, ...], tmp_path: Path
) -> None:
    before = open_files()
    with fake_gateway(tmp_path, offering(b"a", then=then, size=size)) as client:
        with pytest.raises(RemoteProtocolError):
            client.get_files_from_gateway(folder="/")
        assert not client.connected
    assert eventually(lambda: open_files() == before)
    assert not (tmp_path / "a").exists()


def test_bytes_beyond_what_was_asked_for_mean_nothing_if_they_cross_the_end(tmp_path: Path) -> None:
    too_much = (pack(b"abc"), pack(b"xyz"), Frame(Kind.SAME), END)
    with fake_gateway(tmp_path, offering(b"a", then=too_much)) as client:
        client.get_files_from_gateway(folder="/")
    assert (tmp_path / "a").read_bytes() == b"abc"


def test_a_gateway_that_claims_an_enormous_file_costs_nothing(tmp_path: Path) -> None:
    lost = Frame(Kind.LOST, 0, pack_body(Failure(error="X", reason="no")))
    with (
        fake_gateway(tmp_path, offering(b"a", then=(lost, lost, END), size=2**63 - 1)) as client,
        pytest.raises((FilesError, RemoteProtocolError)),
    ):
        client.get_files_from_gateway(folder="/")
    assert list(tmp_path.iterdir()) == []


def test_a_gateway_that_lists_without_end_loses_the_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_LIST_BYTES", 100_000)

    def behave(peer: RawPeer) -> None:
        peer.receive()
        while True:
            peer.send(offer(*(b"%d" % number for number in range(100))))

    with (
        fake_gateway(tmp_path, behave) as client,
        pytest.raises(RemoteProtocolError, match="without end"),
    ):
        client.get_files_from_gateway(folder="/")


def test_a_gateway_whose_digests_nobody_knows_loses_the_pair(tmp_path: Path) -> None:
    unknown = Frame(
        Kind.FOUND, 0, pack_body(Nodes(base=b"/", digests=["md5"], nodes=[Node(b"a", 0, 3, 0, 0, 0, 0)]))
    )

    with (
        fake_gateway(tmp_path, lambda peer: peer.send(unknown, END)) as client,
        pytest.raises(RemoteProtocolError, match="without a digest"),
    ):
        client.get_files_from_gateway(folder="/")


def uploading_to(folder: Path, then: tuple[Frame, ...], wait: int = 0) -> list[Frame]:
    """What a client that uploads one file answers to these frames."""
    (file,) = make(folder, "file", size=100)
    (folder / "secret").write_bytes(SECRET)
    answers: list[Frame] = []

    def behave(peer: RawPeer) -> None:
        while peer.receive().kind != Kind.END:
            pass
        peer.send(*then)
        for _ in range(wait):
            answers.append(peer.receive())
        peer.send(END)

    with (
        fake_gateway(folder / "down", behave) as client,
        contextlib.suppress(FilesError, LinkError, ProtocolError),
    ):
        client.send_files_to_gateway(files=[file])
    return answers


@pytest.mark.parametrize("path", [b"/etc/passwd", b"secret", b"../secret", b"./file", b"", b"file\0"])
@pytest.mark.parametrize("base", [None, b"", b"/", b"/etc"])
def test_a_gateway_that_asks_an_uploader_for_another_file_gets_nothing(
    base: bytes | None, path: bytes, tmp_path: Path
) -> None:
    base = os.fsencode(tmp_path) if base is None else base
    (answer,) = uploading_to(tmp_path, (pull(path, base=base, size=len(SECRET)),), wait=1)
    assert answer.kind == Kind.LOST
    assert SECRET not in answer.body


def test_an_uploader_is_asked_for_an_older_state_of_its_file_and_says_so(tmp_path: Path) -> None:
    (answer,) = uploading_to(tmp_path, (pull(b"file", base=os.fsencode(tmp_path), size=100),), wait=1)
    assert answer.kind == Kind.LOST
    assert unpack_body(answer.body, Failure).error == "Changed"


@pytest.mark.parametrize(
    "then",
    [
        (pull(b"file", offset=1),),
        (pull(b"file", digest="md5"),),
        (Frame(Kind.PULL, 0, b"\xff"),),
        (Frame(Kind.REPORT, 0, pack_body(Report(missed=[Missed(path=b"other", reason="")]))),),
        (Frame(Kind.REPORT, 0, b"\xff"),),
        (Frame(Kind.PACK, 0, bytes(20)),),
        (Frame(Kind.PONG),),
    ],
)
def test_a_gateway_that_talks_nonsense_to_an_uploader_loses_the_pair(
    then: tuple[Frame, ...], tmp_path: Path
) -> None:
    (file,) = make(tmp_path, "file")

    def behave(peer: RawPeer) -> None:
        while peer.receive().kind != Kind.END:
            pass
        peer.send(*then)

    with fake_gateway(tmp_path, behave) as client:
        with pytest.raises(RemoteProtocolError):
            client.send_files_to_gateway(files=[file])
        assert not client.connected


# A controller that means harm


@pytest.fixture
def jailed(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that opens one folder, with a secret beside it."""
    make(tmp_path / "root", "open")
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "root/link").symlink_to(tmp_path / "secret")
    (tmp_path / "root/up").symlink_to(tmp_path)
    with serving(roots=[tmp_path / "root"], download_dir=str(tmp_path / "up")) as gateway:
        yield gateway
        with Controller(port=gateway.port).get_client() as client:
            client.ping("still serving")


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=seeds)
def test_ten_thousand_paths_a_controller_asks_for_read_nothing_outside_the_roots(
    seed: int, tmp_path: Path, jailed: Gateway
) -> None:
    """Each asks for the secret's very state, so that the jail alone keeps it."""
    names = hostile_names(seed, 32)
    state = (tmp_path / "secret").stat()
    root = os.fsencode(tmp_path / "root")
    tries = [b"../secret", b"up/secret", b"link", b"./../secret", b"up/../secret", *names]
    with RawPeer.greeted(jailed.port) as peer:
        peer.send(Frame(Kind.FETCH))
        for base in (b"", root, root + b"/up"):
            for start in range(0, len(tries), 50):
                bits = [
                    Bit(name, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
                    for name in tries[start : start + 50]
                ]
                peer.send(
                    Frame(Kind.PULL, 0, pack_body(Pull(base=base, digest=DIGEST, bits=bits, packed=True)))
                )
                answer = peer.receive()
                assert SECRET not in answer.body
                assert set(unpack_body(answer.body[: answer.ident], Packed).sizes) == {LOST}
        peer.send(END)
        assert peer.receive().kind == Kind.END
        paths = [path for name in tries for path in (name, root + b"/" + name, root + b"/up/" + name)]
        peer.send(Frame(Kind.LIST, 0, pack_body(Query(files=paths))))
        while (answer := peer.receive()).kind == Kind.FOUND:
            assert unpack_body(answer.body, Nodes).nodes == []


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=seeds)
def test_ten_thousand_names_a_controller_uploads_write_nothing_outside_the_download_folder(
    seed: int, tmp_path: Path, no_flush: None
) -> None:
    """In it, links lead out: to a file, to a folder, and to where there is nothing yet."""
    folder, *names = hostile_names(seed, 97)
    names += [b"link", b"out", b"new", b"precious"]
    random.Random(seed).shuffle(names)
    base = tmp_path / os.urandom(8).hex()
    load = base / "up/load"
    load.mkdir(parents=True)
    (base / "outside").mkdir()
    (base / "outside/precious").write_bytes(SECRET)
    for name, target in (("link", "outside/precious"), ("out", "outside"), ("new", "outside/new")):
        (load / name).symlink_to(base / target)
    folders = ["out", "out/x", "../outside", "x/../../outside", folder.decode(errors="replace"), ""]
    with serving(download_dir=str(load)) as gateway, RawPeer.greeted(gateway.port) as peer:
        for text in folders:
            peer.send(store(text))
            # Folders, and files in folders, have no place there.
            folders_too = [Node(name, FOLDER, 0, 0, 0, 0, 0o755) for name in names[:20]]
            peer.send(found(*folders_too), offer(*(names if text == "" else names[:1])), END)
            frame = answer_pulls(peer)
            while frame.kind not in (Kind.END, Kind.ERROR):
                frame = peer.receive()
    assert {path.name for path in base.iterdir()} == {"up", "outside"}
    assert [path.read_bytes() for path in (base / "outside").iterdir()] == [SECRET]
    assert [path.name for path in (base / "up").iterdir()] == ["load"]
    for name in ("link", "out", "new", "precious"):  # each is a file of its own now
        assert not (load / name).is_symlink()
        assert (load / name).read_bytes() == b"abc"
    for path in load.rglob("*"):
        assert path.is_dir() or path.read_bytes() == b"abc"


def test_an_uploader_that_lists_without_end_loses_its_pair(
    jailed: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_LIST_BYTES", 100_000)
    with RawPeer.greeted(jailed.port) as peer:
        peer.send(store())
        with contextlib.suppress(OSError):
            for number in range(10_000):
                peer.send(offer(*(b"%d" % (100 * number + step) for step in range(100))))
        assert peer.hears_the_end()


@pytest.mark.parametrize(
    "sent",
    [
        (Frame(Kind.LIST, 0, b"\xff"),),
        (Frame(Kind.LIST, 0, pack_body({"files": [b"x" * 5000]})),),
        (Frame(Kind.FETCH), Frame(Kind.PULL, 0, b"\xff")),
        (Frame(Kind.FETCH), pull(b"x", digest="md5")),
        (Frame(Kind.FETCH), pull(b"x", offset=1)),
        (Frame(Kind.FETCH), pull(b"x", offset=-1)),
        (Frame(Kind.FETCH), pull(b"x", length=2**63)),
        (Frame(Kind.FETCH), pack(b"abc")),
        (Frame(Kind.PULL),),
        (END,),
        (Frame(Kind.STORE, 0, b"\xff"),),
        (store(), Frame(Kind.FOUND, 0, b"\xff")),
        (store(), pack(b"abc")),
        (store(), offer(b"a"), END, pack(b"abcd")),
        (store(), offer(b"a"), END, Frame(Kind.RAW, 3, b"abc")),
        (store(), offer(b"a"), END, Frame(Kind.SAME)),
        (store(), offer(b"a"), END, END, pack(b"abc")),
        (store(), END, END, END),
    ],
)
def test_a_controller_that_talks_nonsense_loses_its_own_pair_and_leaves_nothing(
    sent: tuple[Frame, ...], jailed: Gateway, tmp_path: Path
) -> None:
    before = open_files()
    with RawPeer.greeted(jailed.port) as peer:
        peer.send(*sent)
        assert peer.hears_the_end()
    assert eventually(lambda: open_files() == before)
    assert not list((tmp_path / "up").glob("*"))


def test_a_controller_that_asks_without_reading_is_held_back(jailed: Gateway, tmp_path: Path) -> None:
    """The gateway stops reading its requests: they wait in the kernel, not in memory."""
    big = tmp_path / "root/big"
    big.touch()
    os.truncate(big, 1 << 30)
    request = pull_of(big)
    with RawPeer.greeted(jailed.port) as peer:
        peer.send(Frame(Kind.FETCH))
        peer.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for _ in range(100_000):
                peer.send(request)


def test_a_controller_that_gives_up_an_endless_fetch_is_heard(jailed: Gateway, tmp_path: Path) -> None:
    big = tmp_path / "root/big"
    big.touch()
    os.truncate(big, 1 << 40)
    with big.open("r+b") as file:  # a terabyte of hole behind it
        file.write(bytes(5_000_000))
    with RawPeer.greeted(jailed.port) as peer:
        peer.send(Frame(Kind.FETCH), pull_of(big))
        assert peer.receive().kind == Kind.RAW
        peer.send(END)
        while (frame := peer.receive()).kind in (Kind.RAW, Kind.HOLE):
            pass
        assert frame.kind == Kind.END
        peer.send(Frame(Kind.PING))
        assert peer.receive().kind == Kind.PONG


def test_an_uploader_that_gives_up_leaves_no_part_and_a_usable_pair(jailed: Gateway, tmp_path: Path) -> None:
    with RawPeer.greeted(jailed.port) as peer:
        peer.send(store(), offer(b"a", b"b", size=LARGE), END)
        assert peer.receive().kind == Kind.PULL
        peer.send(Frame(Kind.RAW, 0, b"abc"), END)
        kinds = [peer.receive().kind]
        while kinds[-1] != Kind.END:
            kinds.append(peer.receive().kind)
        assert set(kinds) <= {Kind.PULL, Kind.REPORT, Kind.END}
        assert list((tmp_path / "up").iterdir()) == []
        peer.send(Frame(Kind.PING))
        assert peer.receive().kind == Kind.PONG


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(
        st.sampled_from([k for k in Kind if k >= Kind.LIST] + [Kind.END, Kind.PING, Kind.CANCEL]), max_size=8
    ),
    bodies=st.lists(
        st.binary(max_size=60)
        | st.sampled_from(
            [
                b"",
                pack_body(Query(folder=b"/")),
                store().body,
                offer(b"a").body,
                pull(b"x").body,
                pack(b"abc").body,
            ]
        ),
        min_size=8,
        max_size=8,
    ),
)
def test_any_frames_in_any_order_cost_only_their_own_pair(
    kinds: list[Kind], bodies: list[bytes], jailed: Gateway, tmp_path: Path
) -> None:
    before = open_files()
    with RawPeer.greeted(jailed.port) as peer, contextlib.suppress(OSError):
        peer.send(*(Frame(kind, 0, body) for kind, body in zip(kinds, bodies, strict=False)))
    assert eventually(lambda: open_files() == before)
    assert not list((tmp_path / "up").glob("*.part"))

"""Kill either end of a transfer of a tree with SIGKILL at a random byte, again and again; compare in the end.

Each trial: a tree, one way (from or to a gateway), one to four pairs, and up
to three kills of the gateway or of the controller, each when a relay between
them has passed on a random number of bytes.  After each: nothing half has its
name, and the end that is left says so and ends.  Then an attempt that is left
alone: the trees are the same, and no part is left.

Ends are forked, not started: a kill costs a fraction of a second.  So this
process has no threads.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pynet_core.controller import Controller
from pynet_core.errors import FilesInterrupted, LinkError
from pynet_core.gateway import Gateway
from tests.core.tree_place import assert_nothing_half, assert_same, make_tree

KILLS_A_TRIAL: Final = 3
PATIENCE_S: Final = 60.0  # for one attempt, on a machine that is busy with other things
WHOLE: Final = 0  # how an attempt may end
INTERRUPTED: Final = 3
RELAY_BYTES: Final = 16 * 1024  # passed on at a time: how fine a kill is aimed

Way = Literal["get", "put"]
End = Literal["gateway", "controller"]


def forked(work: Callable[[], int]) -> int:
    """A process that does this and ends with what it returns; its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def code_of(pid: int, patience_s: float = PATIENCE_S) -> int:
    """What the process ends with; negative is the signal.  It fails when it takes too long."""
    end_s = time.monotonic() + patience_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end_s:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"an end has not come back in {patience_s:g} s")
        time.sleep(0.002)


def stop(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextlib.contextmanager
def gateway_process(folder: Path) -> Iterator[tuple[int, int]]:
    """A gateway of its own: process id and port."""
    read, write = os.pipe()

    def serve() -> int:
        gateway = Gateway(0, max_poolsize=8, download_dir=str(folder))
        gateway.start()
        os.write(write, b"%d\n" % gateway.port)
        signal.pause()
        return 0

    pid = forked(serve)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            yield pid, int(told.readline())
    finally:
        stop(pid)


def relay(listener: socket.socket, port: int, victim: int, after: int | None) -> int:
    """Pass everything on; kill the victim once so many bytes have passed."""
    passed = 0
    other: dict[socket.socket, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is listener:
                    near = listener.accept()[0]
                    try:
                        far = socket.create_connection(("127.0.0.1", port))
                    except OSError:  # it has just been killed
                        near.close()
                        continue
                    for one, two in ((near, far), (far, near)):
                        other[one] = two
                        selector.register(one, selectors.EVENT_READ)
                    continue
                if sock not in other:
                    continue
                try:
                    data = sock.recv(RELAY_BYTES)
                    if after is not None and passed + len(data) > after:
                        data = data[: after - passed]  # to the byte
                    if data:
                        other[sock].sendall(data)
                except OSError:
                    data = b""
                passed += len(data)
                if after is not None and passed >= after:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                    listener.shutdown(socket.SHUT_RDWR)  # in all processes: nobody waits for an answer here
                    return 0  # what was on its way is lost with it
                if not data:
                    for one in (sock, other.pop(sock)):
                        other.pop(one, None)
                        selector.unregister(one)
                        one.close()


@dataclass
class Attempt:
    """One way to move this tree."""

    way: Way
    source: Path
    target: Path
    pairs: int

    def run(self, port: int) -> int:
        """In a process of its own."""
        controller = Controller(port=port)
        try:
            if self.way == "get":
                controller.get_files(f"{self.source}/", self.target, pairs=self.pairs)
            else:
                controller.put_files(f"{self.source}/", pairs=self.pairs)
        except (FilesInterrupted, LinkError):
            return INTERRUPTED
        return WHOLE

    def killed(self, gateway: tuple[int, int], victim: End, after: int | None) -> bool:
        """Try, with that end killed after so many bytes; True when it was killed in the middle."""
        gateway_pid, gateway_port = gateway
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            controller = forked(lambda: self.run(port))
            pid = gateway_pid if victim == "gateway" else controller
            between = forked(lambda: relay(listener, gateway_port, pid, after))
            try:
                code = code_of(controller)
            finally:
                stop(between)
        if code not in (WHOLE, INTERRUPTED, -signal.SIGKILL):
            raise AssertionError(f"the controller has ended with {code}")
        return code != WHOLE


def trial(rng: random.Random, folder: Path) -> int:
    """One trial; returns how many kills came before the transfer was done."""
    way: Way = rng.choice(["get", "put"])
    source, target = folder / "source", folder / "target"
    make_tree(source, rng, large=rng.randint(0, 3), small=rng.randint(1, 80))
    size = _bytes_in(source)
    attempt = Attempt(way, source, target, pairs=rng.randint(1, 4))
    kills = 0
    for _ in range(KILLS_A_TRIAL):
        victim: End = rng.choice(["gateway", "controller"])
        with gateway_process(target) as gateway:
            left = max(size - _bytes_in(target), 0)  # to come, about
            kills += attempt.killed(gateway, victim, rng.randrange(left + 10_000))
            assert_nothing_half(source, target)
    with gateway_process(target) as gateway:
        code = code_of(forked(lambda: attempt.run(gateway[1])))
    assert code == WHOLE, code
    assert_same(source, target)
    return kills


def _bytes_in(top: Path) -> int:
    """Of the files below that have their names."""
    return sum(
        Path(folder, name).lstat().st_blocks * 512
        for folder, _, names in os.walk(top)
        if not folder.endswith(".pynet.part")
        for name in names
    )


def run(kills: int, rng: random.Random, scratch: Path) -> tuple[int, int]:
    """Trials until there were so many kills; returns kills and trials."""
    killed = trials = 0
    while killed < kills:
        folder = scratch / f"trial{trials}"
        folder.mkdir(parents=True)
        killed += trial(rng, folder)
        trials += 1
        shutil.rmtree(folder)
        if trials % 20 == 0:
            print(f"{killed} kills in {trials} trees, all as sent", flush=True)
    return killed, trials


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.tree_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    prove(options.kills, options.seed)
    return 0


def prove(kills: int, seed: int) -> None:
    """`run`, and say what was done."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        killed, trials = run(kills, random.Random(seed), Path(scratch))
    seconds = time.monotonic() - began_s
    print(f"{killed} kills in {trials} trees, all as sent; {seconds:.0f} s, seed {seed}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

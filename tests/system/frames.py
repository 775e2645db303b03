"""Throw wrong frames at gateways, and peers that are killed at any byte, and look for what is left of it.

`./run prove frames [TARGET ...] [--count N] [--seed S] [--from ROUND]`.
Every frame counted has a connection of its own: legal frames that lead
somewhere, the wrong one, sometimes what would have followed, and an end.
First the same frames unchanged, cut at every byte.  After every 500
connections an honest peer must be served, and within 5 s the target must have
the threads and descriptors that it began with, no part file, and nothing
changed or moved.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pynet_core.decoder import FrameDecoder
from pynet_core.errors import PynetError
from pynet_core.wire import Kind, encode
from tests.core.hostile_frames import Attack, Ending, attack, encoded
from tests.core.loopback import PATIENCE_S, eventually
from tests.system.frames_targets import TARGETS, Target

ROUND: Final = 500
LEFT_AFTER_S: Final = 5.0


class Harmed(AssertionError):
    """Says what the frames have done."""


def strike(target: Target, one: Attack) -> None:
    """Be that peer, to its end.

    Raises:
        Harmed, OSError: It was not even let in.
    """
    with _connect(target) as sock:
        if one.greeted:
            _greet(sock, target)
        with contextlib.suppress(OSError):  # cut off in the middle, or not listened to: as it should be
            sock.settimeout(0.5)
            sock.sendall(one.words)
            _end(sock, one.ending)


@contextlib.contextmanager
def _connect(target: Target) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", target.port), PATIENCE_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms after each handshake
        if target.tls is None:
            yield sock
            return
        with target.tls.wrap_socket(sock) as secured:
            yield secured


def _greet(sock: socket.socket, target: Target) -> None:
    sock.sendall(encode(target.hello()))
    decoder = FrameDecoder()
    while data := sock.recv(4096):
        if frames := decoder.feed(data):
            if frames[0].kind == Kind.WELCOME:
                return
            raise Harmed(f"an honest HELLO got {frames[0]}")
    raise Harmed("an honest HELLO got no answer")


def _end(sock: socket.socket, ending: Ending) -> None:
    match ending:
        case Ending.RESET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        case Ending.HALF:
            sock.shutdown(socket.SHUT_WR)
            _read(sock, 0.05)
        case Ending.LISTEN:
            _read(sock, 0.01)
        case Ending.CLOSE:
            pass


def _read(sock: socket.socket, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    sock.settimeout(seconds)
    while time.monotonic() < until_s and sock.recv(65536):
        pass


def census(target: Target) -> dict[str, tuple[int, int]]:
    """Threads and descriptors of each of its processes."""
    return {
        name: (len(list(Path(f"/proc/{pid}/task").iterdir())), len(list(Path(f"/proc/{pid}/fd").iterdir())))
        for name, pid in target.pids.items()
    }


def settled_census(target: Target) -> dict[str, tuple[int, int]]:
    """The census once it has been the same for half a second."""
    seen, since_s = census(target), time.monotonic()
    while time.monotonic() - since_s < 0.5:
        time.sleep(0.02)
        if (now := census(target)) != seen:
            seen, since_s = now, time.monotonic()
    return seen


def resident_mb(target: Target) -> int:
    """What all its processes hold in memory."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in target.pids.values())
    return pages * 4096 // 10**6


def cuts(target: Target, rng: random.Random) -> Iterator[Attack]:
    """A peer that is killed at each byte of each conversation, and of its HELLO; one way of two."""
    for words, greeted in (
        (encode(target.hello()), False),
        *((encoded(each), True) for each in target.conversations),
    ):
        for place in range(len(words) + 1):
            yield Attack(greeted, "cut", words[:place], rng.choice((Ending.CLOSE, Ending.RESET)))


class Siege:
    """Attacks on one target, and what was really done."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.killed = self.wrong = self.before_welcome = self.visits = 0
        self.settled_s = 0.0  # the longest that anything was left
        self._visit()
        self.before = settled_census(target)
        self.memory_mb = resident_mb(target)

    def strike(self, attacks: Sequence[Attack]) -> None:
        """Make these attacks, then look what they have done.

        Raises:
            Harmed: Something.
        """
        for one in attacks:
            strike(self.target, one)
            self.before_welcome += not one.greeted
        began_s = time.monotonic()
        if not eventually(self._is_as_before, LEFT_AFTER_S):
            raise Harmed(
                f"threads, descriptors after {LEFT_AFTER_S:g} s: {census(self.target)}, before: {self.before}"
            )
        self.settled_s = max(self.settled_s, time.monotonic() - began_s)
        if harm := self.target.harm():
            raise Harmed("; ".join(harm))
        self._visit()

    def cut_everywhere(self, rng: random.Random) -> None:
        """Peers that are killed at every byte of everything."""
        attacks = list(cuts(self.target, rng))
        for at in range(0, len(attacks), ROUND):
            self.strike(attacks[at : at + ROUND])
            self.killed = min(at + ROUND, len(attacks))

    def wrong_round(self, seed: int, number: int, count: int = ROUND) -> None:
        """One round of wrong frames, or the beginning of it: the same for the same seed."""
        rng = random.Random(f"{seed} {self.target.name} {number}")
        self.strike([attack(rng, self.target.hello(), self.target.conversations) for _ in range(count)])
        self.wrong += count

    def report(self) -> list[str]:
        """What was done, and what came of it."""
        grown_mb = resident_mb(self.target) - self.memory_mb
        return [
            f"{self.killed} peers killed, at every byte of everything; {self.wrong} wrong frames",
            f"{self.before_welcome} of both before WELCOME; {self.visits} honest peers between, all served",
            f"threads, descriptors: {self.before} -> {census(self.target)} within {self.settled_s:.2f} s",
            f"memory: {self.memory_mb} MB {grown_mb:+d}",
            self.target.report(),
        ]

    def _is_as_before(self) -> bool:
        """Fewer is fine: on a busy machine the last visitor may have been counted before."""
        now = census(self.target)
        return all(
            count <= had for name in now for count, had in zip(now[name], self.before[name], strict=True)
        )

    def _visit(self) -> None:
        self.target.visit()
        self.visits += 1


def prove(name: str, count: int, seed: int, first: int) -> bool:
    """All cuts, then rounds of wrong frames until there were `count`; prints what was done."""
    began_s = time.monotonic()
    number = first
    try:
        with TARGETS[name]() as target:
            siege = Siege(target)
            if first == 0:
                siege.cut_everywhere(random.Random(seed))
            while siege.wrong < count:
                siege.wrong_round(seed, number)
                number += 1
                if number % 20 == 0:
                    _say(name, f"{siege.wrong} wrong frames, at round {number}")
            report = siege.report()
    except (AssertionError, PynetError, OSError, KeyboardInterrupt) as exc:
        _say(name, f"{type(exc).__name__}: {exc}")
        _say(name, f"again:  ./run prove frames {name} --seed {seed} --from {number}")
        return False
    for line in report:
        _say(name, line)
    _say(name, f"{time.monotonic() - began_s:.0f} s, seed {seed}")
    return True


def _say(name: str, words: str) -> None:
    print(f"{name:8} {words}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove frames", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(TARGETS)}; all by default"
    )
    parser.add_argument("--count", type=int, default=100_000, help="of wrong frames, at each target (100000)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--from", type=int, default=0, dest="first", help="the round to go on from")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target called {', '.join(unknown)}; there are: {', '.join(TARGETS)}")
    proofs = [prove(name, options.count, options.seed, options.first) for name in options.targets or TARGETS]
    return 0 if all(proofs) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Cut the pairs of a swarm and kill one of its gateways at random moments, and look at every result.

`./run prove swarm [--cuts N] [--seed S]`.  A swarm of three pairs with each of
two gateways calls a function 300 times and draws a stream of 2,000 items, again
and again.  Meanwhile all connections with the one are cut every few ms, and the
process of the other is killed and started anew.  Every result must come once,
in order and right; in the end no thread may be left.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pynet_core.controller import Controller
from pynet_core.errors import LinkError
from pynet_core.gateway import Gateway
from pynet_core.swarm import Swarm
from tests.core.loopback import eventually, our_threads, serving
from tests.core.relay import Relay
from tests.ports import free_port

CALLS: Final = 300
ITEMS: Final = 2000
CUT_EVERY_S: Final = (0.005, 0.06)
KILL_EVERY_S: Final = (0.05, 0.5)
POOL: Final = 12  # so that all pairs may move to one gateway, and the cut ones still have their places
SERVE: Final = "import sys; from tests.system.swarm_kills import serve; serve(int(sys.argv[1]))"


@dataclass
class Tally:
    rounds: int = 0
    cuts: int = 0
    kills: int = 0
    given_back: int = 0  # calls and shares that another pair did again


def double(number: int) -> bytes:
    return b"%d" % (2 * number)


def squares(end: int, share: int = 0, shares: int = 1) -> Iterator[tuple[int, bytes]]:
    for number in range(share, end, shares):
        yield number, b"%d" % (number * number)


def offer(gateway: Gateway) -> None:
    gateway.add_subroutine("double", double)
    gateway.add_subroutine("squares", squares)


def serve(port: int) -> None:
    """Until it is killed."""
    gateway = Gateway(port, POOL)
    offer(gateway)
    gateway.start()
    print("serving", flush=True)
    threading.Event().wait()


def work(swarm: Swarm, tally: Tally, *, ordered: bool) -> None:
    """One round; fails at the first wrong result."""
    calls = swarm.map("double", range(CALLS))
    assert [int(batch) for batch in calls] == [2 * number for number in range(CALLS)]
    items = swarm.stream("squares", arguments=[ITEMS], ordered=ordered)
    got = list(items)
    assert (got if ordered else sorted(got)) == [(n, b"%d" % (n * n)) for n in range(ITEMS)]
    tally.given_back += calls.progress.repeated + items.progress.repeated
    tally.rounds += 1


@contextlib.contextmanager
def cutting(relay: Relay, rng: random.Random, tally: Tally) -> Iterator[None]:
    """All connections through the relay, every few ms."""

    def cut() -> None:
        relay.cut_all()
        tally.cuts += 1

    with _repeating(cut, rng, CUT_EVERY_S):
        yield


@contextlib.contextmanager
def killing(port: int, rng: random.Random, tally: Tally) -> Iterator[None]:
    """A gateway in a process of its own, which is killed now and then and comes back."""
    process = _started(port)

    def kill() -> None:
        nonlocal process
        process.kill()
        process.communicate()
        tally.kills += 1
        time.sleep(rng.uniform(0, 0.2))  # who comes now is refused
        process = _started(port)

    try:
        with _repeating(kill, rng, KILL_EVERY_S):
            yield
    finally:
        process.kill()
        process.communicate()


def _started(port: int) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "serving\n"
    return process


@contextlib.contextmanager
def _repeating(act: Callable[[], None], rng: random.Random, every_s: tuple[float, float]) -> Iterator[None]:
    ending = threading.Event()

    def run() -> None:
        while not ending.wait(rng.uniform(*every_s)):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def opened(controller: Controller, gateways: list[tuple[str, int]]) -> Swarm:
    """Whatever of it can be opened at this moment, as soon as anything can."""
    while True:
        with contextlib.suppress(LinkError):
            return controller.get_swarm(3, gateways, at_least=1, reconnect=True)


def prove(cuts: int, seed: int, *, tell: bool = False) -> Tally:
    """Rounds until there were so many cuts, and at least one kill."""
    rng, tally = random.Random(seed), Tally()
    port = free_port()
    with serving(max_poolsize=POOL) as gateway, Relay(gateway.port) as relay:
        offer(gateway)
        gateways = [("127.0.0.1", relay.port), ("127.0.0.1", port)]
        with cutting(relay, rng, tally), killing(port, random.Random(seed + 1), tally):
            while tally.cuts < cuts or not tally.kills:
                with opened(Controller(), gateways) as swarm:
                    work(swarm, tally, ordered=bool(tally.rounds % 2))
                if tell and tally.rounds % 50 == 0:
                    print(tally, flush=True)
    assert eventually(lambda: not our_threads()), our_threads()
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove swarm", description=__doc__)
    parser.add_argument("--cuts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    began_s = time.monotonic()
    tally = prove(options.cuts, options.seed, tell=True)
    print(
        f"{tally.rounds} rounds of {CALLS} calls and {ITEMS} items: all came once and right; "
        f"{tally.cuts} cuts, {tally.kills} gateways killed, {tally.given_back} times another pair took over; "
        f"{time.monotonic() - began_s:.0f} s, seed {options.seed}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

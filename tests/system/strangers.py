"""Who is refused, with which code and how soon; and what a crowd at the door costs who is inside.

`./run prove strangers [--trials N]` prints both.  The crowd is 500 connections
that never come through the door: half of them say nothing, half stop in the
middle of their first word.  The round trip is a ping's, of a client that was
connected before, to a gateway in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.errors import Refused, SubroutineError
from pynet_core.trust import Trusted, TrustStore
from pynet_core.wire import WIRE_VERSION, Frame, Kind
from tests.core.loopback import RawPeer, eventually, hello, serving
from tests.core.test_admission import car, client_hello, laptop, raw_tls
from tests.core.trusting import CAR, LAPTOP, STRANGER, trusting
from tests.system.frames_targets import GatewayTarget, gateway_target, tls_target

WITHIN_S: Final = 2.0
CROWD: Final = 500
PINGS: Final = 2000
TIMES: Final = 2.0  # as long as alone, at most

# Each ends by being refused, and gives the code.


def unknown() -> int:
    with serving(**car()) as gateway:
        return _refused(laptop(gateway, STRANGER))


def unknown_gateway() -> int:
    """The other way round: it is the controller that does not know it."""
    with serving(**car()) as gateway:
        return _refused(Controller(port=gateway.port, identity=LAPTOP, trust=trusting(TABLET="gateway")))


def revoked() -> int:
    with tempfile.TemporaryDirectory() as folder:
        TrustStore(Path(folder, "trusted")).add(Trusted("driver", "laptop", LAPTOP.certificate))
        listed = TrustStore(Path(folder, "trusted"))
        with serving(host="127.0.0.1", identity=CAR, trust=listed) as gateway:
            with laptop(gateway).get_client() as client:
                TrustStore(Path(folder, "trusted")).remove("laptop")
                assert eventually(lambda: not gateway.pool.live, WITHIN_S), "its pair was not cut"
                client.abort()
            return _refused(laptop(gateway))


def wrong_role() -> int:
    with serving(**car(LAPTOP="viewer")) as gateway:
        gateway.add_subroutine("drive", lambda: b"", role="driver")
        with laptop(gateway).get_client() as client:
            try:
                client.get_subroutine_batch("drive")
            except SubroutineError as exc:
                return exc.code
    return 0


def wrong_version() -> int:
    with serving(**car()) as gateway, RawPeer(raw_tls(gateway)) as peer:
        peer.send(Frame(Kind.HELLO, WIRE_VERSION + 1, hello().body))
        return peer.receive().ident


def no_tls() -> int:
    with serving(**car()) as gateway:
        return _refused(Controller(port=gateway.port))


def tls_where_there_is_none() -> int:
    with serving() as gateway:
        return _refused(laptop(gateway))


def silent_after_tls() -> int:
    with serving(**car()) as gateway, RawPeer(raw_tls(gateway)) as peer:
        return peer.receive().ident


def silent_in_tls() -> int:
    with serving(**car()) as gateway, RawPeer.connect(gateway.port) as peer:
        peer.sock.sendall(client_hello()[:99])
        return 0 if peer.hears_the_end() else -1


def silent() -> int:
    with serving() as gateway, RawPeer.connect(gateway.port) as peer:
        return 0 if peer.hears_the_end() else -1


def full_pool() -> int:
    with serving(max_poolsize=1) as gateway, Controller(port=gateway.port).get_client():
        return _refused(Controller(port=gateway.port))


def _refused(controller: Controller) -> int:
    try:
        controller.get_client().close()
    except Refused as exc:
        return exc.code
    return 0


# who: code; 0 is a closed connection: who proves nothing learns nothing
STRANGERS: Final[dict[Callable[[], int], int]] = {
    unknown: 401,
    unknown_gateway: 401,
    revoked: 401,
    no_tls: 401,
    silent_after_tls: 401,
    wrong_role: 403,
    wrong_version: 426,
    tls_where_there_is_none: 426,
    full_pool: 503,
    silent_in_tls: 0,
    silent: 0,
}


# The crowd


@contextlib.contextmanager
def crowd(port: int, word: bytes) -> Iterator[None]:
    """So many half-open connections, once the gateway has as many of them in its door as it takes."""
    with contextlib.ExitStack() as stack:
        for number in range(CROWD):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            if number % 2:
                with contextlib.suppress(OSError):
                    sock.send(word)
        time.sleep(0.2)
        yield


def round_trips_us(client: Client) -> list[float]:
    return [client.ping().rtt_ns / 1000 for _ in range(PINGS)]


def crowded(target: GatewayTarget) -> tuple[float, float]:
    """The median round trip in us: alone, the mean of before and after; and with the crowd at the door."""
    word = client_hello()[:50] if target.tls else b"\x99"
    with target.client() as client:
        round_trips_us(client)
        before = statistics.median(round_trips_us(client))
        with crowd(target.port, word):
            beside = statistics.median(round_trips_us(client))
        after = statistics.median(round_trips_us(client))
    return (before + after) / 2, beside


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove strangers", description=__doc__)
    parser.add_argument("--trials", type=int, default=5)
    options = parser.parse_args()
    failed = False
    for stranger, code in STRANGERS.items():
        worst_s, codes = 0.0, set()
        for _ in range(options.trials):
            began_s = time.monotonic()
            codes.add(stranger())
            worst_s = max(worst_s, time.monotonic() - began_s)
        is_right = codes == {code} and worst_s < WITHIN_S
        failed |= not is_right
        said = ", ".join(str(each or "closed") for each in sorted(codes))
        name = stranger.__name__.replace("_", " ")
        print(f"{name:26} {said:8} at most {worst_s:.2f} s  {'ok' if is_right else 'WRONG'}", flush=True)
    for make in (gateway_target, tls_target):
        with make() as target:
            trials = [crowded(target) for _ in range(options.trials)]
        ratio = statistics.median(beside / alone for alone, beside in trials)
        failed |= ratio > TIMES
        print(
            f"{CROWD} half-open at {target.name:18} round trip {trials[0][0]:.0f} us alone, "
            f"{trials[0][1]:.0f} us beside them; {ratio:.2f} times, median of {len(trials)}"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

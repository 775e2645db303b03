"""One stream drawn by many pairs: put in order, bounded, and whole though pairs are lost."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pynet_core.errors import LinkError, OutOfOrder, SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.swarm import Swarm
from tests.core.loopback import Gate, controller_of, counting, eventually, our_threads, serving
from tests.core.relay import Relay


@pytest.fixture
def swarm(gateway: Gateway) -> Iterator[Swarm]:
    with controller_of(gateway).get_swarm(4) as swarm:
        yield swarm


def squares(end: int, share: int = 0, shares: int = 1) -> Iterator[tuple[int, bytes]]:
    for number in range(share, end, shares):
        yield number, b"%d" % (number * number)


def endless(share: int = 0, shares: int = 1) -> Iterator[tuple[int, bytes]]:
    for number in itertools.count(share, shares):
        yield number, b"%d" % number


SQUARES = [(number, b"%d" % (number * number)) for number in range(500)]


def no_swarm_threads() -> bool:
    return not any("swarm" in name for name in our_threads())


def test_a_stream_that_all_pairs_draw_comes_in_order_and_whole(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("squares", squares)
    assert list(swarm.stream("squares", arguments=[500])) == SQUARES
    assert no_swarm_threads()
    assert swarm.alive == 4


def test_unordered_it_is_whole_too(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("squares", squares)
    assert sorted(swarm.stream("squares", arguments=[500], ordered=False)) == SQUARES


def test_each_pair_draws_a_share_of_its_own_at_the_same_time(gateway: Gateway, swarm: Swarm) -> None:
    meeting = threading.Barrier(4)

    def meet(share: int, shares: int) -> Iterator[bytes]:
        meeting.wait(5)
        yield b"%d of %d" % (share, shares)

    gateway.add_subroutine("meet", meet)
    assert sorted(body for _, body in swarm.stream("meet")) == [b"%d of 4" % number for number in range(4)]


def test_a_callback_gets_the_items_here_and_ends_the_stream_by_false(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("endless", endless)
    got: list[int] = []
    threads: set[int] = set()

    def callback(name: str, ident: int, body: bytes) -> bool:
        assert (name, body) == ("endless", b"%d" % ident)
        threads.add(threading.get_ident())
        got.append(ident)
        return ident < 99

    swarm.stream("endless", callback)
    assert got == list(range(100))
    assert threads == {threading.get_ident()}
    assert no_swarm_threads()
    assert swarm.alive == 4, "streams end without costing their pair"


def test_a_callback_that_raises_ends_the_stream_and_the_exception_comes_out(
    gateway: Gateway, swarm: Swarm
) -> None:
    gateway.add_subroutine("endless", endless)

    def callback(_name: str, ident: int, _body: bytes) -> None:
        if ident == 20:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        swarm.stream("endless", callback)
    assert no_swarm_threads()
    assert swarm.alive == 4


def test_no_share_runs_further_ahead_than_was_said(gateway: Gateway, swarm: Swarm) -> None:
    gate = Gate()
    given = [0] * 4

    def frames(share: int, shares: int) -> Iterator[tuple[int, bytes]]:
        for number in itertools.count(share, shares):
            if number == 7:
                gate()
            given[share] += 1
            yield number, bytes(1_000_000)  # of which the kernel holds few

    gateway.add_subroutine("frames", frames)
    items = swarm.stream("frames", ahead=5)
    assert [next(items)[0] for _ in range(4)] == [0, 1, 2, 3]
    shares = items._work._shares.shares  # type: ignore[attr-defined]
    assert eventually(lambda: sorted(len(share.items) for share in shares) == [0, 5, 5, 5])
    time.sleep(0.1)
    assert max(given) < 30, given
    gate.open()
    assert [next(items)[0] for _ in range(40)] == list(range(4, 44))
    items.cancel()


def test_the_share_of_a_pair_that_is_lost_is_begun_again_and_nothing_comes_twice(gateway: Gateway) -> None:
    started: list[int] = []

    def slow_squares(end: int, share: int = 0, shares: int = 1) -> Iterator[tuple[int, bytes]]:
        started.append(share)
        for each in squares(end, share, shares):
            time.sleep(0.001)
            yield each

    gateway.add_subroutine("squares", slow_squares)
    with Relay(gateway.port) as relay, controller_of(relay).get_swarm(3, reconnect=True) as swarm:
        got = []
        items = swarm.stream("squares", arguments=[500], ahead=8)
        for item in items:
            got.append(item)
            if item[0] in (100, 300):
                relay.cut_all()
        assert got == SQUARES
        assert sorted(set(started)) == [0, 1, 2]
        assert len(started) > 3
        assert items.progress.repeated == len(started) - 3


def test_the_shares_of_a_gateway_that_dies_are_taken_over_when_others_have_done_theirs() -> None:
    with serving() as stays, contextlib.ExitStack() as stack:
        dies = stack.enter_context(serving())
        for gateway in (stays, dies):
            gateway.add_subroutine("squares", squares)
        gateways = [("127.0.0.1", stays.port), ("127.0.0.1", dies.port)]
        with controller_of(stays).get_swarm(1, gateways) as swarm:
            got = []
            for item in swarm.stream("squares", arguments=[500], ordered=False):
                got.append(item)
                if len(got) == 10:
                    stack.close()
            assert sorted(got) == SQUARES


@contextlib.contextmanager
def two_of_which_one_dies(places: int) -> Iterator[tuple[Swarm, Callable[[], None]]]:
    """A swarm of a pair with each of two gateways that offer `endless`, and what ends the second."""
    with serving(max_poolsize=places) as stays, contextlib.ExitStack() as stack:
        dies = stack.enter_context(serving())
        for gateway in (stays, dies):
            gateway.add_subroutine("endless", endless)
        gateways = [("127.0.0.1", stays.port), ("127.0.0.1", dies.port)]
        with controller_of(stays).get_swarm(1, gateways) as swarm:
            yield swarm, stack.close


def test_a_pair_whose_gateway_dies_moves_to_another_one_and_the_stream_goes_on() -> None:
    with two_of_which_one_dies(places=2) as (swarm, die):
        got: list[int] = []
        for ident, _ in swarm.stream("endless"):
            got.append(ident)
            if ident == 100:
                die()
            if swarm.clients[1].reconnections and ident % 1000 == 0:  # what the dead one had sent has come
                break
        assert got == list(range(len(got)))
        assert swarm.alive == 2


def test_a_share_that_nobody_can_take_over_is_an_error_and_not_a_standstill() -> None:
    with two_of_which_one_dies(places=1) as (swarm, die):
        items = swarm.stream("endless")
        next(items)
        die()
        with pytest.raises(LinkError, match=r"share \d of 'endless' has lost its pair .*they wait"):
            for _ in items:
                pass
    assert no_swarm_threads()


def test_a_swarm_draws_with_the_pairs_that_are_alive(gateway: Gateway) -> None:
    gateway.add_subroutine("squares", squares)
    with Relay(gateway.port) as relay, controller_of(relay).get_swarm(3) as swarm:
        relay.cut_all()
        assert eventually(lambda: swarm.alive == 0)
        assert list(swarm.stream("squares", arguments=[500])) == SQUARES
        assert swarm.alive == 3


def test_a_failing_share_raises_behind_its_items(gateway: Gateway, swarm: Swarm) -> None:
    def failing(share: int, shares: int) -> Iterator[tuple[int, bytes]]:
        for number in range(share, 100, shares):
            if number == 41:
                raise ValueError("broken lens")
            yield number, b""

    gateway.add_subroutine("failing", failing)
    got: list[int] = []
    with pytest.raises(SubroutineError, match="ValueError: broken lens"):
        got.extend(ident for ident, _ in swarm.stream("failing"))
    assert got == list(range(38)), "the next one might have been of the share that failed"
    assert no_swarm_threads()


@pytest.mark.parametrize("ordered", [True, False])
def test_with_errors_a_failing_share_gives_its_error_behind_its_items_and_the_others_go_on(
    gateway: Gateway, swarm: Swarm, ordered: bool
) -> None:
    def failing(share: int, shares: int) -> Iterator[tuple[int, bytes]]:
        for number in range(share, 40, shares):
            if number == 21:  # of share 1
                raise ValueError("twenty-one")
            yield number, b""

    gateway.add_subroutine("failing", failing)
    got = list(swarm.stream("failing", ordered=ordered).with_errors())
    (error,) = [each for each in got if isinstance(each, Exception)]
    idents = [each[0] for each in got if isinstance(each, tuple)]
    assert str(error).endswith("ValueError: twenty-one")
    assert sorted(idents) == [number for number in range(40) if number % 4 != 1 or number < 21]
    assert got.index(error) > idents.index(17)
    if ordered:
        assert idents == sorted(idents)


def test_a_generator_that_takes_no_share_is_told_what_it_lacks(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("count", counting)
    with pytest.raises(SubroutineError, match="TypeError") as caught:
        list(swarm.stream("count", arguments=[5]))
    assert caught.value.__notes__ == ["a generator that a swarm draws takes the arguments share and shares"]


def test_idents_that_do_not_rise_end_the_stream_with_both(gateway: Gateway, swarm: Swarm) -> None:
    def falling(share: int, shares: int) -> Iterator[tuple[int, bytes]]:
        yield 5, b""
        yield 4, b""

    gateway.add_subroutine("falling", falling)
    with pytest.raises(OutOfOrder, match="of 'falling' gave ident 4 after 5"):
        list(swarm.stream("falling"))
    assert swarm.alive == 4


def test_leaving_an_endless_stream_ends_all_its_generators(gateway: Gateway, swarm: Swarm) -> None:
    running: list[int] = []

    def live(share: int, shares: int) -> Iterator[tuple[int, bytes]]:
        running.append(share)
        try:
            for each in endless(share, shares):
                yield each
                time.sleep(0.001)
        finally:
            running.remove(share)

    gateway.add_subroutine("live", live)
    for ident, _ in swarm.stream("live"):
        if ident == 30:
            break
    assert no_swarm_threads()
    assert eventually(lambda: not running)
    assert swarm.alive == 4

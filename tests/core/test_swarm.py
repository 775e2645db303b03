"""Many pairs as one thing: order, work that is given back, errors at their place, and nothing left behind."""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pynet_core.controller import Controller
from pynet_core.crew import SPARE_TRIES
from pynet_core.errors import (
    DeadlineExceeded,
    LinkClosed,
    LinkError,
    LocalProtocolError,
    PoolFull,
    SubroutineError,
)
from pynet_core.gateway import Gateway
from pynet_core.subroutines import caller
from pynet_core.swarm import Swarm
from tests.core.loopback import (
    PATIENCE_S,
    Gate,
    controller_of,
    eventually,
    our_threads,
    serving,
)
from tests.core.relay import Relay
from tests.core.trusting import CAR, LAPTOP, trusting
from tests.ports import free_port


@pytest.fixture
def swarm(gateway: Gateway) -> Iterator[Swarm]:
    with controller_of(gateway).get_swarm(4) as swarm:
        yield swarm


def double(number: int) -> tuple[int, bytes]:
    return 1000 + number, b"%d" % (2 * number)


def no_swarm_threads() -> bool:
    return not any("swarm" in name for name in our_threads())


# Calls


def test_results_come_in_the_order_of_the_input_whoever_is_done_first(gateway: Gateway, swarm: Swarm) -> None:
    def slow_if_even(number: int) -> tuple[int, bytes]:
        time.sleep(0.01 if number % 2 == 0 else 0)
        return double(number)

    gateway.add_subroutine("f", slow_if_even)
    batches = list(swarm.map("f", range(40)))
    assert [int(batch) for batch in batches] == [2 * number for number in range(40)]
    assert [batch.ident for batch in batches] == list(range(1000, 1040))
    assert [batch.number for batch in batches] == list(range(40))
    assert no_swarm_threads()


def test_unordered_results_come_as_they_are_done_and_say_which_they_are(
    gateway: Gateway, swarm: Swarm
) -> None:
    gate = Gate()
    gateway.add_subroutine("f", lambda number: gate() if number == 0 else double(number))
    results = swarm.map("f", range(10), unordered=True)
    first = [next(results).number for _ in range(9)]
    assert sorted(first) == list(range(1, 10))
    gate.open()
    assert [batch.number for batch in results] == [0]


def test_a_tuple_is_several_arguments_and_all_else_is_one(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("show", lambda *a, **k: repr((a, k)).encode())
    shown = [
        eval(batch)
        for batch in swarm.map("show", [(1, 2), (), [1, 2], "ab", None, ("x",)], kwargs={"u": "m"})
    ]
    assert [a for a, _ in shown] == [(1, 2), (), ([1, 2],), ("ab",), (None,), ("x",)]
    assert [k for _, k in shown] == [{"u": "m"}] * 6


def test_an_input_that_cannot_be_iterated_over_leaves_the_swarm_free(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("double", double)
    with pytest.raises(TypeError, match="not iterable"):
        list(swarm.map("double", 5))  # type: ignore[arg-type]
    assert list(swarm.map("double", [5])) == [b"10"]


def test_an_endless_input_is_taken_only_as_far_ahead_as_was_said(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("double", double)
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    results = swarm.map("double", numbers(), ahead=6)
    for number, batch in enumerate(results):
        assert batch.number == number
        assert len(taken) <= number + 1 + 6
        if number == 300:
            break
    results.cancel()
    assert results.progress.taken == 301


def test_a_slow_call_holds_up_only_as_many_as_may_be_ahead(gateway: Gateway, swarm: Swarm) -> None:
    gate = Gate()
    done: list[int] = []

    def f(number: int) -> bytes:
        if number == 0:
            gate()
        done.append(number)
        return b""

    gateway.add_subroutine("f", f)
    results = swarm.map("f", itertools.count(), ahead=10)
    first: list[int] = []
    drawing = threading.Thread(target=lambda: first.append(next(results).number))
    drawing.start()
    assert eventually(lambda: len(done) == 9)
    assert not first
    gate.open()
    drawing.join(PATIENCE_S)
    assert first == [0]
    results.cancel()
    assert max(done) <= 11


def test_an_input_that_comes_slowly_is_answered_while_it_goes_on(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("double", double)
    answered = 0
    behind: list[int] = []

    def live() -> Iterator[int]:
        for number in range(12):
            yield number
            behind.append(number + 1 - answered)
            assert eventually(lambda: results._work._outcomes)  # type: ignore[attr-defined]

    results = swarm.map("double", live())
    for _ in results:
        answered += 1
    assert behind == [1] * 12


def test_all_pairs_are_at_work_at_the_same_time(gateway: Gateway, swarm: Swarm) -> None:
    meeting = threading.Barrier(4)

    def meet(_: int) -> bytes:
        meeting.wait(PATIENCE_S)
        return caller().pair_id.encode()

    gateway.add_subroutine("meet", meet)
    assert len(set(swarm.map("meet", range(4)))) == 4


def test_what_ends_the_input_with_an_exception_ends_the_work_with_it(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("double", double)

    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(swarm.map("double", broken()))
    assert no_swarm_threads()
    assert [int(batch) for batch in swarm.map("double", [1])] == [2]


def test_nothing_runs_before_a_result_is_asked_for_and_no_input_is_no_result(
    gateway: Gateway, swarm: Swarm
) -> None:
    calls: list[int] = []
    gateway.add_subroutine("f", calls.append)
    swarm.map("f", range(5))
    assert no_swarm_threads()
    assert list(swarm.map("f", [])) == []
    assert calls == []


def test_buffers_are_sent_by_all_pairs_and_answered_in_order(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("length", lambda plus, buffer=b"": len(buffer) + plus)
    buffers = [bytes(size) for size in range(30)]
    assert list(swarm.send("length", buffers, [100])) == list(range(100, 130))
    progress = swarm.send("length", buffers, [100]).wait()
    assert progress == (30, 30, 0, 0)


# Errors


def failing(number: int) -> bytes:
    if number % 10 == 3:
        raise ValueError(f"bad {number}")
    return b"%d" % number


def test_a_failing_call_raises_at_its_place_and_ends_the_work(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("f", failing)
    got: list[int] = []
    with pytest.raises(SubroutineError, match="ValueError: bad 3") as caught:
        got.extend(int(batch) for batch in swarm.map("f", range(100)))
    assert got == [0, 1, 2]
    assert caught.value.__notes__ == ["this was number 3 of what the swarm was given"]
    assert no_swarm_threads()
    assert swarm.alive == 4, "a failing call costs no pair"


def test_with_errors_a_failing_call_gives_its_error_at_its_place_and_the_others_go_on(
    gateway: Gateway, swarm: Swarm
) -> None:
    gateway.add_subroutine("f", failing)
    results = swarm.map("f", range(30)).with_errors()
    got = list(results)
    assert [number for number, each in enumerate(got) if isinstance(each, SubroutineError)] == [3, 13, 23]
    assert [int(each) for each in got if isinstance(each, bytes)] == [
        number for number in range(30) if number % 10 != 3
    ]
    assert results.progress == (30, 30, 3, 0)


def test_arguments_that_cannot_travel_are_an_error_at_their_place(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("f", lambda *_: b"")
    values: list[Any] = [1, object(), 2]
    got = list(swarm.map("f", values).with_errors())
    assert [type(each).__name__ for each in got] == ["Batch", "LocalProtocolError", "Batch"]


def test_a_call_that_is_late_fails_at_its_place_once_and_its_pair_is_opened_anew(
    gateway: Gateway, swarm: Swarm
) -> None:
    gate = Gate()
    calls: list[int] = []

    def f(number: int) -> bytes:
        calls.append(number)
        return gate() if number == 2 else b""

    gateway.add_subroutine("f", f)
    swarm.timeout_s = 0.5
    got = list(swarm.map("f", range(6)).with_errors())
    assert [number for number, each in enumerate(got) if isinstance(each, DeadlineExceeded)] == [2]
    assert sorted(calls) == list(range(6)), "not given to another pair"
    gate.open()
    assert len(list(swarm.map("f", [1, 3, 4, 5]))) == 4
    assert swarm.reopen() == 4


# Pairs that are lost


def test_a_pair_that_is_lost_gives_its_call_to_another_and_every_result_comes_once(gateway: Gateway) -> None:
    gateway.add_subroutine("double", double)
    with Relay(gateway.port) as relay, controller_of(relay).get_swarm(4, reconnect=True) as swarm:
        got: list[int] = []
        results = swarm.map("double", range(400))
        for batch in results:
            got.append(int(batch))
            if batch.number in (50, 150, 250):
                relay.cut_all()
        assert got == [2 * number for number in range(400)]
        assert results.progress.failed == 0
        assert swarm.reopen() == 4


def test_pairs_of_a_gateway_that_dies_leave_their_work_to_another_gateways() -> None:
    with serving(max_poolsize=3) as stays, contextlib.ExitStack() as stack:
        dies = stack.enter_context(serving(max_poolsize=3))
        who: list[str] = []

        def f(number: int) -> bytes:
            time.sleep(0.001)
            return b"%d" % number

        for gateway in (stays, dies):
            gateway.add_subroutine("f", f)
        gateways = [("127.0.0.1", stays.port), ("127.0.0.1", dies.port)]
        with controller_of(stays).get_swarm(3, gateways) as swarm:
            assert (len(swarm), swarm.alive) == (6, 6)
            for batch in swarm.map("f", range(300)):
                who.append(batch.decode())
                if batch.number == 100:
                    stack.close()
            assert who == [str(number) for number in range(300)]
            assert swarm.alive == 3


def test_a_call_that_may_not_run_twice_is_an_error_at_its_place(gateway: Gateway) -> None:
    gate = Gate()
    calls: list[int] = []

    def f(number: int) -> bytes:
        calls.append(number)
        return gate() if number == 1 else b""

    gateway.add_subroutine("f", f)
    with Relay(gateway.port) as relay, controller_of(relay).get_swarm(2) as swarm:

        def cut_in_the_middle() -> None:
            assert gate.entered.acquire(timeout=PATIENCE_S)
            relay.cut_all()

        threading.Thread(target=cut_in_the_middle).start()
        got = list(swarm.map("f", range(4), retry=False).with_errors())
        assert isinstance(got[1], LinkClosed)
        assert calls.count(1) == 1
        gate.open()


def test_a_call_that_kills_its_pair_every_time_is_given_up_in_the_end(gateway: Gateway) -> None:
    calls: list[int] = []
    with Relay(gateway.port) as relay:

        def deadly(number: int) -> bytes:
            if number == 5:
                calls.append(number)
                relay.cut_all()
                time.sleep(0.05)
            return b""

        gateway.add_subroutine("deadly", deadly)
        with controller_of(relay).get_swarm(2, reconnect=True) as swarm:
            got = list(swarm.map("deadly", range(10)).with_errors())
            assert [number for number, each in enumerate(got) if isinstance(each, Exception)] == [5]
            assert isinstance(got[5], LinkError)
            assert len(calls) <= 2 * len(swarm) + SPARE_TRIES


def test_a_swarm_whose_pairs_are_all_lost_says_so_and_why() -> None:
    with serving() as gateway:
        gateway.add_subroutine("double", double)
        swarm = controller_of(gateway).get_swarm(3)
        results = swarm.map("double", itertools.count())
        next(results)
    with pytest.raises(LinkError, match="every pair of the swarm is lost; the last: no gateway at"):
        for _ in range(1000):
            next(results)
    assert no_swarm_threads()
    assert swarm.alive == 0
    swarm.close()


def test_a_swarm_that_reconnects_waits_for_its_gateway_to_come_back() -> None:
    port = free_port()
    got: list[int] = []
    with serving(port) as gateway:
        gateway.add_subroutine("double", double)
        swarm = controller_of(gateway).get_swarm(3, reconnect=True)
        results = swarm.map("double", range(200), ahead=5)
        got += [int(next(results)) for _ in range(20)]
    drawing = threading.Thread(target=lambda: got.extend(int(batch) for batch in results))
    drawing.start()
    time.sleep(0.2)
    with serving(port) as gateway:
        gateway.add_subroutine("double", double)
        drawing.join(PATIENCE_S)
        assert got == [2 * number for number in range(200)]
        swarm.close()


def test_under_tls_a_lost_pair_comes_back_as_the_device_it_was() -> None:
    who: set[bytes] = set()
    with serving(identity=CAR, trust=trusting(LAPTOP="viewer")) as gateway, Relay(gateway.port) as relay:
        gateway.add_subroutine("who", lambda _: f"{caller().name} {caller().role}".encode())
        gateway.add_subroutine("drive", double, role="driver")
        controller = Controller(port=relay.port, identity=LAPTOP, trust=trusting(CAR="gateway"))
        with controller.get_swarm(3, reconnect=True) as swarm:
            offered = {each.name: each.allowed for each in swarm.clients[0].list_subroutines()}
            assert offered == {"drive": False, "who": True}
            for batch in swarm.map("who", range(60)):
                who.add(batch)
                if batch.number in (20, 40):
                    relay.cut_all()
            assert who == {b"LAPTOP viewer"}
            assert sum(client.reconnections for client in swarm.clients) >= 2


# Ways out


def test_leaving_the_loop_ends_the_work_and_the_swarm_is_free_again(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("double", double)
    for batch in swarm.map("double", itertools.count()):
        if batch.number == 20:
            break
    assert no_swarm_threads()
    assert swarm.alive == 4, "what was on its way came to its end"
    assert len(list(swarm.map("double", range(5)))) == 5


def test_an_exception_in_the_loop_ends_the_work_at_once_under_with(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("double", double)
    with pytest.raises(KeyError, match="mine"), swarm.map("double", itertools.count()) as results:
        for batch in results:
            if batch.number == 5:
                raise KeyError("mine")
    assert no_swarm_threads()
    assert swarm.alive == 4


def test_a_call_that_hangs_is_cut_when_the_work_is_cancelled_from_another_thread(
    gateway: Gateway, swarm: Swarm
) -> None:
    gate = Gate()
    gateway.add_subroutine("gate", gate)
    gateway.add_subroutine("double", double)
    results = swarm.map("gate", range(8))
    ends: list[str] = []

    def draw() -> None:
        ends.extend("result" for _ in results)
        ends.append("end")

    drawing = threading.Thread(target=draw)
    drawing.start()
    assert gate.entered.acquire(timeout=PATIENCE_S)
    results.cancel()
    drawing.join(PATIENCE_S)
    assert ends == ["end"]
    assert no_swarm_threads()
    gate.open()
    assert [int(batch) for batch in swarm.map("double", range(9))] == [2 * number for number in range(9)]


def test_ctrl_c_while_waiting_for_a_result_leaves_no_thread(gateway: Gateway, swarm: Swarm) -> None:
    gate = Gate()
    gateway.add_subroutine("gate", gate)

    def interrupt() -> None:
        assert gate.entered.acquire(timeout=PATIENCE_S)
        time.sleep(0.05)  # until it waits
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        next(swarm.map("gate", range(8)))
    interrupting.join()
    assert no_swarm_threads()
    gate.open()


def test_a_swarm_does_one_thing_at_a_time_and_says_so(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("double", double)
    first = swarm.map("double", itertools.count())
    next(first)
    with pytest.raises(LocalProtocolError, match="this swarm is at work on something else"):
        next(swarm.map("double", [1]))
    with pytest.raises(LocalProtocolError, match="get another swarm"):
        swarm.stream("double")
    assert next(first).number == 1, "which goes on"
    swarm.cancel()
    assert list(first) == []
    assert len(list(swarm.map("double", [1]))) == 1


def test_one_argument_without_its_list_is_no_list_of_letters(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("f", lambda *_, **__: 0)
    for ask in (lambda: swarm.send("f", [b""], "abc"), lambda: swarm.stream("f", arguments="abc")):
        with pytest.raises(
            TypeError, match=r"arguments of 'f' are a list, got 'abc': write \[...\] around it"
        ):
            ask()


def test_of_two_threads_that_begin_at_the_same_instant_one_is_refused(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("double", double)
    both = threading.Barrier(2)

    class Ended:
        """Of work before: whoever asks whether it is over waits for the other to ask too."""

        def is_set(self) -> bool:
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.3)
            return True

    list(swarm.map("double", [1]))
    assert swarm._crew is not None
    swarm._crew.stopping = Ended()  # type: ignore[assignment]
    with ThreadPoolExecutor(2) as pool:
        begun = [swarm.map("double", itertools.count()) for _ in range(2)]
        errors = [each.exception() for each in [pool.submit(next, results) for results in begun]]
    assert [type(error) for error in errors if error is not None] == [LocalProtocolError]
    swarm.cancel()


def test_closing_a_swarm_ends_its_work_and_gives_its_places_back(gateway: Gateway) -> None:
    gateway.add_subroutine("double", double)
    swarm = controller_of(gateway).get_swarm(3)
    results = swarm.map("double", itertools.count())
    next(results)
    swarm.close()
    swarm.close()
    assert list(results) == []
    assert swarm.alive == 0
    assert not gateway.pool.live
    with pytest.raises(LinkClosed, match="every pair of the swarm is lost; the last: this pair is closed"):
        list(swarm.map("double", [1]))


def test_work_that_has_ended_is_freed_at_once_with_what_it_held(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("f", failing)
    ended: list[weakref.ref[object]] = []
    for values, errors in (([1, 2], 0), ([1, 3, 13], 2)):
        results = swarm.map("f", values).with_errors()
        assert sum(isinstance(each, SubroutineError) for each in results) == errors
        ended.append(weakref.ref(results._work))
        del results
    failed = swarm.map("f", [1, 3])
    ended.append(weakref.ref(failed._work))
    with pytest.raises(SubroutineError):
        list(failed)
    del failed
    swarm._crew = None
    assert [each() for each in ended] == [None] * 3, "a cycle holds sockets and buffers until it is collected"


@pytest.mark.parametrize("ahead", [0, -1])
def test_to_be_ahead_by_nothing_is_a_value_error(swarm: Swarm, ahead: int) -> None:
    with pytest.raises(ValueError, match=f"ahead must be at least 1, got {ahead}"):
        swarm.map("double", [1], ahead=ahead)
    with pytest.raises(ValueError, match=f"ahead must be at least 1, got {ahead}"):
        swarm.stream("double", ahead=ahead)


def test_one_ahead_is_enough(gateway: Gateway, swarm: Swarm) -> None:
    gateway.add_subroutine("double", double)
    for unordered in (False, True):
        results = swarm.map("double", range(20), ahead=1, unordered=unordered)
        assert [int(batch) for batch in results] == [2 * number for number in range(20)]


# Opening


def test_a_swarm_that_does_not_fit_the_pool_is_refused_whole_or_taken_as_it_is() -> None:
    with serving(max_poolsize=3) as gateway:
        gateway.add_subroutine("double", double)
        controller = controller_of(gateway)
        with pytest.raises(PoolFull):
            controller.get_swarm(5)
        assert eventually(lambda: not gateway.pool.live)
        with pytest.raises(PoolFull) as caught:
            controller.get_swarm(5, at_least=4)
        assert caught.value.__notes__ == ["3 of 5 pairs could be opened, at least 4 were wanted"]
        with controller.get_swarm(5, at_least=1) as swarm:
            assert len(swarm) == swarm.alive == 3
            assert len(list(swarm.map("double", range(10)))) == 10


def test_a_gateway_that_is_not_there_costs_the_swarm_only_its_pairs_if_that_was_said() -> None:
    with serving() as gateway:
        gateways = [("127.0.0.1", free_port()), ("127.0.0.1", gateway.port)]
        with pytest.raises(LinkError, match="no gateway at"):
            controller_of(gateway).get_swarm(2, gateways)
        with controller_of(gateway).get_swarm(2, gateways, at_least=1) as swarm:
            assert len(swarm) == 2


@pytest.mark.parametrize(
    ("n", "gateways", "at_least"), [(0, None, None), (2, [], None), (2, None, 0), (2, None, 3)]
)
def test_a_swarm_of_nothing_is_a_value_error(
    gateway: Gateway, n: int, gateways: list[tuple[str, int]] | None, at_least: int | None
) -> None:
    with pytest.raises(ValueError, match=r"at.least"):
        controller_of(gateway).get_swarm(n, gateways, at_least=at_least)

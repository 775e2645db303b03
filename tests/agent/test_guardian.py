"""The guardian's tick, seen from the worker's end of the link and from the outputs."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pi_agent.config import AgentConfig, CameraConfig
from pi_agent.diary import LATCH_FILE, Diary, read_latch
from pi_agent.link import MAX_MESSAGE, WorkerReady
from pynet_car.messages import Disarm, EStop, Lease, Priority, Release, Reset, State, Verdict
from pynet_core.errors import HardwareError
from tests.agent.guardian_rig import ADA, CONFIG, MS, NO_SENSORS, GuardianRig, with_max_throttle

pytestmark = pytest.mark.promise

GRACE = "gra" * 10
Start = Callable[..., GuardianRig]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    rigs: list[GuardianRig] = []

    def make(config: AgentConfig = NO_SENSORS) -> GuardianRig:
        rigs.append(GuardianRig(tmp_path, config))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture
def armed(start: Start) -> GuardianRig:
    rig = start()
    rig.arm()
    return rig


# driving


def test_throttle_reaches_the_motor_under_its_slew(armed: GuardianRig) -> None:
    armed.drive_for(100, 1.0, steering=0.5)
    assert armed.duty == pytest.approx(0.4)  # 4 a second
    armed.drive_for(200, 1.0, steering=0.5)
    assert armed.drivetrain.puts[-1] == (1.0, 0.5)
    assert armed.status.verdict is Verdict.TAKEN


def test_letting_go_stops_the_motor_within_50_ms(armed: GuardianRig) -> None:
    armed.drive_for(300, 1.0)
    armed.drive_for(50, 0.0)
    assert armed.duty == 0.0


def test_a_late_tick_jumps_no_further_than_50_ms(armed: GuardianRig) -> None:
    armed.drive(1.0, ms=150)
    assert armed.duty == pytest.approx(0.2)
    assert armed.status.counters.late_ticks == 1


def test_silence_stops_the_motor_at_once_when_the_lifespan_is_over(armed: GuardianRig) -> None:
    armed.drive_for(300, 1.0)
    silent_since = armed.status.stamp_ns
    while armed.duty:
        armed.tick()
    assert (
        armed.now - silent_since <= (200 + 20) * MS
    )  # and the last command answered a stamp up to 20 ms old
    assert armed.state() is State.FAILSAFE


def test_after_a_short_gap_it_starts_from_zero_under_slew(armed: GuardianRig) -> None:
    armed.drive_for(300, 1.0)
    while armed.duty:
        armed.tick()
    armed.drive(1.0)
    assert armed.state() is State.ARMED
    assert armed.duty == pytest.approx(0.04)


def test_outputs_are_written_only_when_they_change(armed: GuardianRig) -> None:
    armed.drive_for(500, 0.5)
    writes = len(armed.drivetrain.puts)
    armed.drive_for(500, 0.5)
    assert len(armed.drivetrain.puts) == writes


def test_more_throttle_than_allowed_is_clamped_and_told(start: Start) -> None:
    rig = start(with_max_throttle(0.3))
    rig.arm()
    rig.drive_for(500, 0.9)
    assert rig.duty == pytest.approx(0.3)
    assert rig.status.verdict is Verdict.LIMITED


# status, results, events


def test_status_comes_every_20_ms_with_the_ticks_own_stamp(start: Start) -> None:
    rig = start()
    for jitter in (0.3, -0.4, 0.2, -0.1) * 25:
        rig.tick(10 + jitter)
    stamps = [status.stamp_ns for status in rig.statuses[1:]]
    gaps_ms = [(after - before) / MS for before, after in itertools.pairwise(stamps)]
    assert len(stamps) == pytest.approx(50, abs=1)
    assert max(gaps_ms) < 21
    assert len({status.boot for status in rig.statuses}) == 1


def test_a_change_is_told_in_its_own_tick_before_its_result(start: Start) -> None:
    rig = start()
    for _ in range(3):
        before = len(rig.statuses)
        rig.ask(EStop())
        rig.ask(Reset())
        told = [status.state for status in rig.statuses[before:]]
        assert told == [State.E_STOP, State.DISARMED]


def test_every_request_gets_its_own_result(start: Start) -> None:
    rig = start()
    asks = [rig.request(event) for event in (Lease(), Release(), Release(), EStop(), Reset())]
    for ask in asks:
        rig.send(ask)
    rig.tick()
    codes = {result.id: result.code for result in rig.results}
    assert [codes[ask.id] for ask in asks] == [
        Verdict.TAKEN, Verdict.TAKEN, Verdict.NO_LEASE, Verdict.TAKEN, Verdict.DISARMED
    ]  # fmt: skip


def test_events_go_up_the_link(armed: GuardianRig) -> None:
    assert [event.kind for event in armed.events] == ["lease_taken", "armed"]


def test_status_names_the_holder_and_the_newest_command(armed: GuardianRig) -> None:
    armed.drive(0.1)
    armed.tick()
    armed.tick()
    status = armed.status
    assert (status.holder, status.holder_name, status.session) == (ADA, "Ada", 501)
    assert (status.last_seq, status.lifespan_ms) == (2, 200)
    assert 20 * MS <= status.command_age_ns <= 40 * MS
    assert status.counters.commands == 2


def test_a_full_mailbox_never_makes_the_tick_wait(armed: GuardianRig) -> None:
    armed.sees = False
    for _ in range(1000):  # the worker is stopped: nobody reads
        armed.now += 10 * MS
        armed.guardian.step(armed.now)
    assert armed.guardian.unsent > 0
    assert armed.duty == 0.0


# nonsense


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.binary(min_size=1, max_size=200))
def test_nonsense_costs_itself_alone(armed: GuardianRig, nonsense: bytes) -> None:
    before = armed.guardian.nonsense
    armed.worker_socket.send(nonsense)
    armed.drive(0.0)
    assert armed.guardian.nonsense == before + 1
    assert armed.state() is State.ARMED
    assert armed.status.verdict is Verdict.TAKEN


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xc1",
        b"\x91" * 5000,  # an array in an array in ...
        b"\x82\xa4type\xa8Labelled\xa4peer\xa1a",
        b"\x81\xa4type\xff",
        b"x" * (MAX_MESSAGE + 1),
    ],
)
def test_crafted_nonsense_is_dropped_too(armed: GuardianRig, nonsense: bytes) -> None:
    armed.worker_socket.send(nonsense)
    armed.drive(0.0)
    assert armed.guardian.nonsense == 1
    assert armed.state() is State.ARMED


def test_a_flood_does_not_hold_up_the_tick(armed: GuardianRig) -> None:
    flooding = threading.Event()

    def flood() -> None:
        while not flooding.is_set():
            armed.worker.send(WorkerReady(port=1))

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for _ in range(30):
            armed.now += 10 * MS
            armed.guardian.step(armed.now)  # returns, though there is always one more
    finally:
        flooding.set()
        thread.join()
    assert armed.duty == 0.0


# the worker's death


def test_neutral_and_disarmed_in_the_tick_that_sees_the_worker_dead(armed: GuardianRig) -> None:
    armed.drive_for(300, 1.0)
    armed.worker.close()
    armed.tick()
    assert armed.duty == 0.0
    armed.attach()
    armed.tick()
    assert armed.state() is State.DISARMED
    assert armed.status.holder == ""
    assert "worker process died" in armed.status.reason
    assert armed.status.counters.worker_starts == 2


@pytest.mark.parametrize("unread", [False, True])
def test_an_e_stop_sent_with_the_last_breath_counts(armed: GuardianRig, unread: bool) -> None:
    armed.drive_for(300, 1.0)
    if unread:  # then its death reads ECONNRESET, before what it sent
        armed.sees = False
        armed.guardian.step(armed.now + 20 * MS)
        armed.now += 20 * MS
    armed.send(armed.request(EStop()))
    armed.worker.close()
    armed.tick()
    armed.attach()
    armed.tick()
    assert armed.duty == 0.0
    assert armed.state() is State.E_STOP


def test_what_a_dead_worker_asked_for_is_not_granted(start: Start) -> None:
    rig = start()
    rig.send(rig.request(Lease()))
    rig.worker.close()
    rig.tick()
    rig.attach()
    rig.tick()
    assert rig.status.holder == ""


def test_a_dead_workers_readings_die_with_it(start: Start) -> None:
    rig = start(CONFIG)
    rig.scan([3.0] * 4)
    rig.tick()
    rig.tick()
    assert not rig.status.blocked_forward
    rig.worker.close()
    rig.tick()
    rig.attach()
    rig.tick()
    assert rig.status.blocked_forward


# reflex


@pytest.mark.parametrize(("sign", "duty"), [(1.0, 0.5), (-1.0, 0.0)])
def test_encoders_with_swapped_wires_do_not_keep_it_from_braking(
    start: Start, sign: float, duty: float
) -> None:
    rig = start(CONFIG)
    rig.arm()
    for _ in range(15):  # 1.5 s, toward something that it could stop for until 0.53 m at 1 m/s
        rig.odometry(sign * 1.0)
        rig.scan([1.0] * 4)
        rig.drive_for(100, 0.5)
    assert rig.duty == duty
    assert ("swapped" in rig.status.reason) == (sign < 0)
    rig.odometry(-1.0)
    rig.scan([1.0] * 4)
    rig.drive_for(100, -0.5)
    assert rig.duty < 0.0, "the other way is free"


def test_a_velocity_that_no_car_has_ends_no_tick(start: Start) -> None:
    rig = start(CONFIG)
    rig.arm()
    rig.odometry(1e200)  # its square is no float
    rig.scan([3.0] * 4)
    rig.drive(0.5)
    assert rig.duty > 0.0


def test_silent_sensors_block_forward_and_leave_backward_free(start: Start) -> None:
    rig = start(CONFIG)
    rig.arm()
    rig.drive_for(100, 0.5)
    assert rig.duty == 0.0
    assert rig.status.verdict is Verdict.LIMITED
    assert "has not measured yet" in rig.status.reason
    assert (rig.status.blocked_forward, rig.status.blocked_backward) == (True, False)
    rig.drive_for(100, -0.5)
    assert rig.duty == pytest.approx(-0.4)


@pytest.mark.parametrize("stop", [EStop(), Disarm()])
def test_a_stop_is_put_out_although_the_motor_is_thought_to_stand(start: Start, stop: EStop | Disarm) -> None:
    rig = start()
    for _ in range(2):  # latched or not
        rig.drivetrain.puts.append((1.0, 0.0))  # a plugin has written to a chip of ours
        rig.ask(stop, GRACE)
        assert rig.duty == 0.0


def test_a_stop_that_the_outputs_refuse_ends_the_guardian_though_the_motor_is_thought_to_stand(
    start: Start,
) -> None:
    rig = start()
    rig.drivetrain.is_broken = True
    with pytest.raises(HardwareError):
        rig.ask(EStop(), GRACE)


def test_an_obstacle_stops_the_car_within_50_ms_and_lets_it_steer(start: Start) -> None:
    rig = start(CONFIG)
    rig.arm()
    for _ in range(10):
        rig.scan([3.0] * 4)
        rig.odometry(1.0)
        rig.drive_for(50, 0.5)
    assert rig.duty == 0.5
    rig.scan([3.0, 0.4, 3.0, 3.0])
    rig.odometry(1.0)
    rig.drive_for(50, 0.5, steering=1.0)
    assert rig.duty == 0.0
    assert rig.drivetrain.puts[-1][1] == pytest.approx(0.6)


def test_channels_that_are_not_configured_are_not_kept(start: Start) -> None:
    rig = start()
    rig.scan([0.1] * 4)
    rig.tick()
    rig.tick()
    assert not rig.status.blocked_forward


def test_with_a_stalled_camera_a_human_creeps_and_a_network_stops(start: Start) -> None:
    for priority, creeps in ((Priority.HUMAN, True), (Priority.NETWORK, False)):
        rig = start()
        rig.arm(priority)
        rig.drive_for(500, 1.0)
        assert rig.duty == 1.0
        rig.sees = False
        rig.drive_for(1100, 1.0)
        assert rig.duty == pytest.approx(0.15 if creeps else 0.0)
        assert rig.status.verdict is Verdict.LIMITED
        assert "camera is stalled" in rig.status.reason


def test_a_car_without_a_camera_is_driven_by_who_sees_it_and_by_no_network(start: Start) -> None:
    config = dataclasses.replace(NO_SENSORS, camera=CameraConfig(enabled=False))
    for priority, duty in ((Priority.HUMAN, 1.0), (Priority.NETWORK, 0.0)):
        rig = start(config)
        rig.sees = False
        rig.arm(priority)
        rig.drive_for(1100, 1.0)
        assert rig.duty == duty
    assert "There is no camera: no network drives blind." in rig.status.reason


def test_a_missing_picture_is_in_the_status_line_and_only_then(start: Start) -> None:
    rig = start()
    rig.send(WorkerReady(port=1))
    rig.drive_for(50, 0.0)
    assert "picture" not in rig.guardian.summary
    rig.sees = False
    rig.drive_for(1100, 0.0)
    assert rig.guardian.summary.endswith(" The camera gives no picture.")


# the e-stop on disk


def wait_for_disk(rig: GuardianRig) -> None:
    rig.diary.close(5.0)


def test_the_e_stop_outlives_a_restart_and_the_reset_too(start: Start, tmp_path: Path) -> None:
    first = start()
    first.ask(EStop(), GRACE)
    wait_for_disk(first)
    second = start()
    assert second.state() is State.E_STOP
    assert second.status.reason == "E-stop pressed by Gra: reset it, then arm."
    second.ask(Reset())
    wait_for_disk(second)
    assert start().state() is State.DISARMED
    assert not (tmp_path / LATCH_FILE).exists()


def test_a_failing_disk_costs_no_tick_and_the_latch_is_written_when_it_is_back(tmp_path: Path) -> None:
    gone = tmp_path / "disk"
    rig = GuardianRig(gone)
    rig.ask(EStop())
    rig.tick()
    assert rig.state() is State.E_STOP
    gone.mkdir()
    done = threading.Event()
    for _ in range(500):
        if read_latch(gone):
            done.set()
            break
        done.wait(0.01)
    assert done.is_set()
    rig.close()


def test_a_disk_that_goes_on_failing_is_told_once_and_again_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = tmp_path / "disk"
    diary = Diary(gone)
    caplog.set_level("INFO")
    for _ in range(3):
        diary._keep("pressed")
    gone.mkdir()
    diary._keep("pressed")
    diary.close(5.0)
    assert caplog.text.count("is not kept over a restart") == 1
    assert "kept over a restart again" in caplog.text


def test_a_log_that_stands_still_does_not_keep_the_e_stop_off_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    reads_on = threading.Event()

    class Stuck(logging.Handler):  # as a terminal is after Ctrl-S
        def emit(self, record: logging.LogRecord) -> None:
            reads_on.wait(10.0)

    handler = Stuck()
    logging.getLogger("pi_agent.diary").addHandler(handler)
    rig = GuardianRig(tmp_path)
    try:
        rig.arm()  # told in the log, which stands still now
        rig.ask(EStop())
        deadline_s = time.monotonic() + 5.0
        while not read_latch(tmp_path):
            assert time.monotonic() < deadline_s
            time.sleep(0.005)
    finally:
        reads_on.set()
        logging.getLogger("pi_agent.diary").removeHandler(handler)
        rig.close()


def test_a_latch_that_cannot_be_read_holds(tmp_path: Path) -> None:
    (tmp_path / LATCH_FILE).mkdir()
    assert "cannot be read" in read_latch(tmp_path)


@pytest.mark.parametrize("text", [b"\0" * 100_000, b"\xff" * 100_000, b"e" * 300_000, b"\n" * 4096])
def test_a_spoilt_latch_holds_and_can_be_reset(start: Start, tmp_path: Path, text: bytes) -> None:
    """The worker died of a Status that did not fit into a message, so nobody could reset it."""
    (tmp_path / LATCH_FILE).write_bytes(text)
    rig = start()
    assert rig.state() is State.E_STOP
    rig.ask(Reset())
    assert rig.state() is State.DISARMED
    wait_for_disk(rig)
    assert not (tmp_path / LATCH_FILE).exists()


def test_an_empty_latch_file_holds(tmp_path: Path) -> None:
    (tmp_path / LATCH_FILE).touch()
    assert read_latch(tmp_path)


# its own failure


def test_outputs_that_refuse_end_the_guardian(armed: GuardianRig) -> None:
    armed.drivetrain.is_broken = True
    with pytest.raises(HardwareError):
        armed.drive(1.0)

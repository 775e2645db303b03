"""No command is on the pins once it is too old, whatever the link does: `./run prove stale [--commands N]`.

Somebody drives the installed service over a link that stalls at random, toward
the robot, toward the driver or both, and then delivers all it held at once.
Each command has a steering of its own, so the servo's pulse on the board names
it, and that names the moment at which its stick was sampled.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynet_car.world.board import Board
from tests.system.base_root import SUITES, CannotRun
from tests.system.link import To
from tests.system.relay import Way
from tests.system.service_faults.installed import installed
from tests.system.service_faults.remote import MARK_FIRST, MARK_STEP
from tests.system.service_faults.rig import AIR, Rig, rig_in

LIFESPAN_MS: Final = 200
TICK_MS: Final = 10  # what a tick put out stays until the next one
LATE_MS: Final = 20  # that tick may be late, on a busy machine
STEERING_PIN: Final = 19
LOOK_S: Final = 0.0005
STALLS_S: Final = (0.05, 0.1, 0.15, 0.19, 0.21, 0.25, 0.4, 0.8, 1.5)
WELL_S: Final = 1.0  # at most, between two stalls
TOWARD: Final[tuple[To | None, ...]] = ("robot", "driver", None)
STALLED: Final = Way(is_stalled=True)


@dataclass(frozen=True, slots=True)
class Report:
    sent: int
    seen: int  # commands that were on the pins
    stalls: int
    oldest_ms: float

    @property
    def holds(self) -> bool:
        return self.oldest_ms <= LIFESPAN_MS + TICK_MS + LATE_MS and self.seen > self.sent / 5


def prove(rig: Rig, commands: int, seed: int) -> Report:
    """Let so many commands be sent, in 20 ms each and what the stalls take."""
    rng = random.Random(seed)
    # At once: on its way from neutral the servo would pass the marks of older commands.
    rig.write_settings("[drive]\nsteering_slew_per_s = 100.0\n")
    rig.restart()
    rig.start_remote()
    stalls = 0
    seen_ns: dict[int, int] = {}  # when each command was last on the pins
    rig.ask("drive")
    rig.ask("mark")
    with Board.open(rig.robot.board_path) as board:
        begun_s = time.monotonic()
        change_s = begun_s + rng.uniform(0.0, WELL_S)
        is_stalled = False
        while time.monotonic() - begun_s < commands * 0.02:
            now_ns = time.monotonic_ns()  # before the look: it is then no younger than we say
            mark = _mark(board)
            if mark is not None:
                seen_ns[mark] = now_ns
            if now_ns / 1e9 >= change_s:
                is_stalled = not is_stalled
                stalls += is_stalled
                if is_stalled:
                    rig.link.shape(STALLED, rng.choice(TOWARD))
                else:
                    rig.link.shape(AIR)
                change_s = now_ns / 1e9 + (rng.choice(STALLS_S) if is_stalled else rng.uniform(0.0, WELL_S))
            time.sleep(LOOK_S)
    rig.link.shape(AIR)
    rig.write_settings()
    sampled_ns = rig.ask("marks").marks
    rig.end_remote()
    ages_ms = [(last_ns - sampled_ns[mark]) / 1e6 for mark, last_ns in seen_ns.items()]
    return Report(len(sampled_ns), len(ages_ms), stalls, max(ages_ms, default=0.0))


def _mark(board: Board) -> int | None:
    """The number of the command that the servo follows; None at neutral and on the way there."""
    steering = (board.output(STEERING_PIN)[0] - 0.075) / 0.025  # a pulse of 1 to 2 ms in 20 ms
    number = (steering - MARK_FIRST) / MARK_STEP
    return round(number) if number >= -0.1 and abs(number - round(number)) < 0.01 else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove stale", description=__doc__)
    parser.add_argument("--commands", type=int, default=2000)
    parser.add_argument("--suite", choices=SUITES, default=SUITES[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    try:
        with (
            installed(options.suite) as box,
            tempfile.TemporaryDirectory() as folder,
            rig_in(box, Path(folder)) as rig,
        ):
            report = prove(rig, options.commands, options.seed)
    except CannotRun as exc:
        print(f"stale: {exc}", file=sys.stderr)
        return 1
    print(
        f"{report.sent} commands, {report.stalls} stalls (seed {options.seed}): {report.seen} were on the "
        f"pins, the oldest {report.oldest_ms:.1f} ms after its stick was sampled (lifespan {LIFESPAN_MS} ms, "
        f"tick {TICK_MS} ms): {'held' if report.holds else 'BROKEN, or too little was seen'}"
    )
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())

"""The failsafe's promises at full length: `./run prove failsafe [--traces N] [--commands N] [--seed N]`.

Random conversations judged by the witness (no motion before neutral and arm,
none after an e-stop before reset and arm), and a driver over a link that stalls
(no command or path moves the car once it is older than its lifespan).  No clock runs,
so it is as fast as the machine.  The tests do the same at a small size.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import Final

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.agent.failsafe_rig import LIFESPAN_MS, MS, PATH_LIFESPAN_MS
from tests.agent.failsafe_stalls import Report, drive
from tests.agent.test_failsafe_random import Conversation

STEPS: Final = 40
CHUNK: Final = 100_000


class Counted(Conversation):
    """A conversation that says how it went."""

    traces = 0
    motions = 0
    e_stops = 0

    follows = 0

    def teardown(self) -> None:
        Counted.traces += 1
        Counted.follows += any(step.outcome.path is not None for step in self.rig.record)
        Counted.motions += any(step.outcome.throttle for step in self.rig.record)
        Counted.e_stops += self.rig.failsafe.e_stops


def prove_traces(number: int, seed_: int) -> bool:
    begun_s = time.monotonic()
    run_state_machine_as_test(
        seed(seed_)(Counted),
        settings=settings(
            max_examples=number,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(settings().suppress_health_check),
        ),
    )
    print(
        f"{Counted.traces} random conversations of up to {STEPS} acts in {time.monotonic() - begun_s:.0f} s: "
        f"the car moved in {Counted.motions} and followed a path in {Counted.follows}, "
        f"{Counted.e_stops} e-stops, "
        "no motion that the record does not allow"
    )
    return Counted.traces >= number and min(Counted.motions, Counted.follows) > number // 10


def prove_commands(number: int, seed_: int) -> bool:
    """Every second chunk has paths among its commands."""
    begun_s = time.monotonic()
    total = Report()
    for chunk in range(-(-number // CHUNK)):
        report = drive(min(CHUNK, number - chunk * CHUNK), seed_ + chunk, paths=chunk % 2 == 1)
        total.commands += report.commands
        total.moved_ticks += report.moved_ticks
        total.followed_ticks += report.followed_ticks
        total.stalls += report.stalls
        total.trips += report.trips
        total.oldest_ns = max(total.oldest_ns, report.oldest_ns)
        total.oldest_path_ns = max(total.oldest_path_ns, report.oldest_path_ns)
    print(
        f"{total.commands} commands, {total.stalls} stalls, {total.trips} failsafe trips in "
        f"{time.monotonic() - begun_s:.0f} s: {total.moved_ticks} ticks moved the car, by a command at most "
        f"{total.oldest_ns / MS:.1f} ms old (lifespan {LIFESPAN_MS} ms), and {total.followed_ticks} "
        f"followed a path at most {total.oldest_path_ns / MS:.1f} ms old (lifespan {PATH_LIFESPAN_MS} ms)"
    )
    in_time = total.oldest_ns <= LIFESPAN_MS * MS and total.oldest_path_ns <= PATH_LIFESPAN_MS * MS
    return in_time and total.moved_ticks > number // 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove failsafe", description=__doc__)
    parser.add_argument("--traces", type=int, default=10_000)
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    held = [prove_commands(options.commands, options.seed), prove_traces(options.traces, options.seed)]
    print("held" if all(held) else "BROKEN, or too little was tried")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

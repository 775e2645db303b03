"""Let the installed service work for long, and see what it costs: `./run prove soak [--minutes N]`.

Somebody drives over the link and takes all that a window takes: the camera at
640x480 and 30 pictures a second, proximity, odometry, status.  Once a second
memory (PSS) and processor time of guardian and worker are written down.  It
fails when memory is not flat, when the two take more than 35 % of a core, when
pictures are missing or when one of the two was replaced.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynet_car.world.launch import cpu_s
from tests.system.base_root import SUITES, CannotRun
from tests.system.service_faults.installed import installed
from tests.system.service_faults.rig import Broken, Rig, rig_in

MAX_CPU: Final = 0.35  # of a core, both together
MAX_DRIFT: Final = 0.05  # of the memory after warm-up
MIN_FPS: Final = 25.0  # of the 30, on a machine that does other things
WARM_UP: Final = 0.2  # of the time, at least MIN_WARM_UP_S
MIN_WARM_UP_S: Final = 60.0
TELL_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float  # monotonic
    cpu_s: float  # guardian and worker, since they started
    guardian_kb: int
    worker_kb: int
    frames: int  # that the driver has got


def sample(rig: Rig, guardian: int, worker: int) -> Sample:
    """Raises Broken: it does not go on."""
    answer = rig.ask("look")
    if answer.state not in ("ARMED", "FAILSAFE"):
        rig.ask("drive")
    try:
        used_s = cpu_s(guardian) + cpu_s(worker)
        return Sample(time.monotonic(), used_s, pss_kb(guardian), pss_kb(worker), answer.frames)
    except OSError as exc:
        raise Broken(f"guardian or worker has ended: {exc}") from exc


def pss_kb(pid: int) -> int:
    """What it would free by ending: its own pages, and its part of those it shares."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def judge(samples: list[Sample]) -> list[str]:
    """What is wrong; nothing when all is well."""
    warm_up_s = max(MIN_WARM_UP_S, WARM_UP * (samples[-1].at_s - samples[0].at_s))
    warm = [one for one in samples if one.at_s - samples[0].at_s >= warm_up_s]
    if len(warm) < 30:
        return [f"only {len(warm)} s were left after the warm-up of {warm_up_s:.0f} s: let it run longer"]
    seconds = warm[-1].at_s - warm[0].at_s
    cpu = (warm[-1].cpu_s - warm[0].cpu_s) / seconds
    fps = (warm[-1].frames - warm[0].frames) / seconds
    wrong = []
    print(
        f"{seconds:.0f} s after {warm_up_s:.0f} s of warm-up: "
        f"{100 * cpu:.1f} % of a core, {fps:.1f} pictures a second"
    )
    if cpu > MAX_CPU:
        wrong.append(f"takes {100 * cpu:.0f} % of a core, promised {100 * MAX_CPU:.0f} %")
    if fps < MIN_FPS:
        wrong.append(f"{fps:.1f} pictures a second: the service did not have its full work")
    third = len(warm) // 3
    for name, sizes in (
        ("guardian", [one.guardian_kb for one in warm]),
        ("worker", [one.worker_kb for one in warm]),
    ):
        first, last = statistics.median(sizes[:third]), statistics.median(sizes[-third:])
        drift = last / first - 1.0
        sizes_mb = f"{first / 1024:.1f} MB, later {last / 1024:.1f} MB, at most {max(sizes) / 1024:.1f} MB"
        print(f"{name}: {sizes_mb} ({100 * drift:+.1f} %)")
        if abs(drift) > MAX_DRIFT:
            wrong.append(f"the {name}'s memory is not flat: {100 * drift:+.1f} %")
    return wrong


def soak(rig: Rig, minutes: float) -> list[str]:
    rig.ask("drive")
    rig.ask("watch")
    guardian, worker = rig.robot.guardian, rig.robot.worker
    samples = [sample(rig, guardian, worker)]
    begun_s = told_s = time.monotonic()
    while (now_s := time.monotonic()) < begun_s + 60.0 * minutes:
        time.sleep(1.0)
        samples.append(sample(rig, guardian, worker))
        if now_s - told_s >= TELL_S:
            told_s = now_s
            newest = samples[-1]
            print(
                f"{(now_s - begun_s) / 60:.0f} min: guardian {newest.guardian_kb / 1024:.1f} MB, "
                f"worker {newest.worker_kb / 1024:.1f} MB, {newest.frames} pictures",
                flush=True,
            )
    if (rig.robot.guardian, rig.robot.worker) != (guardian, worker):
        return ["guardian or worker was replaced"]
    return judge(samples)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--suite", choices=SUITES, default=SUITES[0])
    options = parser.parse_args()
    try:
        with (
            installed(options.suite) as box,
            tempfile.TemporaryDirectory() as folder,
            rig_in(box, Path(folder)) as rig,
        ):
            wrong = soak(rig, options.minutes)
    except CannotRun as exc:
        print(f"soak: {exc}", file=sys.stderr)
        return 1
    except Broken as exc:
        wrong = [str(exc)]
    print(*(f"FAILED: {text}" for text in wrong), sep="\n") if wrong else print("held")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""What is moved, over what, by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.moving.common import CP, RCLONE, RSYNC_DAEMON, RSYNC_Z, TAR
from benchmarks.moving.mover import Mover
from benchmarks.moving.ours import PAIRS, PYNET, PYNET_TLS, PYNETWORK, RAW, pynet
from benchmarks.moving.places import Wire
from benchmarks.moving.ssh import ASYNCSSH, RSYNC_SSH, SCP
from benchmarks.moving.trees import MB, Tree

BASE: Final = RSYNC_DAEMON  # all are held against it
QUICK: Final = 10  # times smaller

SLOW: Final = Wire("40 Mbit/s, 10 ms round trip", 40)
POOR: Final = Wire("40 Mbit/s, 10 ms round trip, 1 % loss, TCP reno", 40, loss=0.01)
POOR_BBR: Final = Wire("40 Mbit/s, 10 ms round trip, 1 % loss, TCP bbr", 40, loss=0.01, congestion="bbr")
FAR: Final = Wire("40 Mbit/s, 100 ms round trip", 40, rtt_ms=100)
FAST: Final = Wire("200 Mbit/s, 10 ms round trip, packets of 9000 B", 200, mtu=9000)


@dataclass(frozen=True, slots=True)
class Workload:
    key: str
    tree: Tree
    movers: tuple[Mover, ...]  # the base first
    wire: Wire | None = None  # None: loopback
    up: bool = False

    @property
    def title(self) -> str:
        return self.tree.name + (", up" if self.up else "") + (f"; {self.wire.name}" if self.wire else "")


def workloads(quick: bool) -> list[Workload]:
    """All of them, for a machine with 2.5 GB of tmpfs to spare, or a tenth."""

    def tree(files: int, total_bytes: int, name: str, *, mixed: bool = False) -> Tree:
        if quick:
            files, total_bytes = max(1, files // QUICK), total_bytes // QUICK
            name += f", a {QUICK}th of it"
        return Tree(name, files, total_bytes, "logs" if mixed else "random", mixed)

    tiny = tree(10_000, 10_000 * 4096, "10,000 files of 4 KB")
    few = tree(1_000, 1_000 * 4096, "1,000 files of 4 KB")
    middle = tree(1_000, 100 * MB, "1,000 files of 100 KB")
    huge = tree(1, 2_000 * MB, "one file of 2 GB")
    logs = tree(2_000, 500 * MB, "2,000 logs, 500 MB", mixed=True)
    some_logs = tree(200, 20 * MB, "200 logs, 20 MB", mixed=True)
    one = tree(1, 12 * MB, "one file of 12 MB")

    usual = (BASE, PYNET, PYNET_TLS, CP, TAR, RSYNC_SSH, RCLONE)
    scaled = tuple(pynet(pairs=pairs) for pairs in PAIRS)
    scaled_tls = tuple(pynet(pairs=pairs, tls=True) for pairs in PAIRS)
    wired = (BASE, PYNET_TLS, TAR, RAW)  # between machines pynet speaks TLS only
    return [
        Workload("tiny", tiny, (*usual, SCP)),
        Workload("few", few, (*usual, SCP, ASYNCSSH, PYNETWORK)),
        Workload("middle", middle, (*usual, SCP, ASYNCSSH, PYNETWORK)),
        Workload("middle-up", middle, (BASE, PYNET, PYNET_TLS, TAR, RSYNC_SSH, SCP), up=True),
        Workload("huge", huge, (*usual, RAW, SCP)),
        Workload("logs", logs, (*usual, SCP)),
        Workload("pairs-tiny", tiny, (BASE, *scaled)),
        Workload("pairs-huge", huge, (BASE, *scaled)),
        Workload("pairs-logs", logs, (BASE, *scaled)),
        Workload("slow-few", few, (*wired, RSYNC_SSH, RCLONE), SLOW),
        Workload("slow-logs", some_logs, (BASE, RSYNC_Z, *wired[1:]), SLOW),
        Workload("poor-one", one, (BASE, RAW, *scaled_tls), POOR),
        Workload("poor-bbr", one, (BASE, RAW, *scaled_tls), POOR_BBR),
        Workload("far-few", few, (*wired, RSYNC_SSH), FAR),
        Workload("far-one", one, (BASE, RAW, *scaled_tls), FAR),
        Workload("fast-tiny", tiny, (*wired, RSYNC_SSH), FAST),
        Workload("fast-pairs", tiny, (BASE, *scaled_tls), FAST),
    ]

"""How the agent is, for whoever asks on this machine: the worker answers on a Unix socket.

One connection, one Report as JSON, closed.  It takes no identity and can
change nothing; people and `pynet-agent status` read it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from pynet_car.messages import Status, StreamInfo
from pynet_core.errors import DeadlineExceeded, LinkError, RemoteProtocolError

REPORT_SOCKET: Final = "report"  # in the runtime directory
ASK_S: Final = 2.0
SEND_S: Final = 0.5  # to somebody who asks and does not read
MEMORY: Final = 64  # items of a stream: 2 s of a camera
_NS: Final = 1e9

log = logging.getLogger(__name__)


class StreamReport(Struct, frozen=True, kw_only=True):
    """How one stream runs."""

    name: str
    state: str  # "ok", or why it does not run
    period_s: float  # expected from one item to the next; 0 is not known
    per_s: float  # items a second, of late
    age_s: float | None  # since its newest item; None before the first


class Report(Struct, frozen=True, kw_only=True):
    """All there is to say of an agent that runs."""

    name: str
    version: str
    board: str
    simulated: bool
    host: str
    port: int
    keys: str  # what callers must show: "identity", "secret" (PYNET_KEY), or "" on this machine only
    guardian_pid: int
    worker_pid: int
    uptime_s: float  # of the guardian
    status: Status | None  # None before the guardian's first
    status_age_s: float | None
    streams: tuple[StreamReport, ...]
    peers: dict[str, int]  # "laptop (driver)": pairs open


class Pulse:
    """Counts a stream's items.  `beat` is its thread's, `report` any other's."""

    def __init__(self) -> None:
        self._stamps: deque[int] = deque(maxlen=MEMORY)

    def beat(self, now_ns: int) -> None:
        self._stamps.append(now_ns)

    def report(self, info: StreamInfo, now_ns: int) -> StreamReport:
        stamps = tuple(self._stamps)
        return StreamReport(
            name=info.name,
            state=info.state,
            period_s=info.period_s,
            per_s=rate_hz(stamps, now_ns),
            age_s=max(0, now_ns - stamps[-1]) / _NS if stamps else None,  # one may have come meanwhile
        )


def rate_hz(stamps: Sequence[int], now_ns: int) -> float:
    """Items a second by their stamps (ns, ascending); falls as soon as the next one is overdue."""
    if len(stamps) < 2:
        return 0.0
    span_ns = stamps[-1] - stamps[0]
    gap_ns = span_ns / (len(stamps) - 1)
    overdue_ns = max(0.0, now_ns - stamps[-1] - gap_ns)
    return (len(stamps) - 1) * _NS / max(1.0, span_ns + overdue_ns)


class ReportServer:
    """Answers whoever connects, one after the other, in a thread of its own."""

    def __init__(self, path: Path, report: Callable[[], Report]) -> None:
        self._path = path
        self._report = report
        self._closing = threading.Event()
        self._listens = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def listen(self) -> None:
        """Take questions; where that cannot be, say so and go on: nothing that drives hangs on it."""
        try:
            self._path.unlink(missing_ok=True)  # that of a worker before us
            self._socket.bind(str(self._path))
            self._path.chmod(0o666)  # who logs in may ask, and learns nothing that lets him drive
            self._socket.listen(4)
        except OSError as exc:
            log.warning("`pynet-agent status` will find nobody: %s: %s", self._path, exc)
        else:
            self._listens = True

    def start(self) -> None:
        """Answer them, those that have come already too."""
        if self._listens:
            self._thread.start()

    def stop(self) -> None:
        """Idempotent."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the accept
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(1.0)
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                peer, _ = self._socket.accept()
            except OSError:
                if not self._closing.wait(0.1):  # too many open files: later there may be fewer
                    continue
                return
            with peer, contextlib.suppress(OSError):
                peer.settimeout(SEND_S)
                peer.sendall(msgspec.json.encode(self._report()))


def ask_report(runtime_dir: Path, timeout_s: float = ASK_S) -> Report:
    """What the agent that runs in this folder says now.

    Raises:
        LinkError: Nobody answers there.
        PermissionError: This user may not ask.
    """
    path = runtime_dir / REPORT_SOCKET
    deadline_s = time.monotonic() + timeout_s
    data = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.settimeout(timeout_s)
            sock.connect(str(path))
            while piece := sock.recv(65536):
                data += piece
                sock.settimeout(max(0.001, deadline_s - time.monotonic()))
        except TimeoutError as exc:
            raise DeadlineExceeded(f"{path}: no answer within {timeout_s:g} s") from exc
        except PermissionError:
            raise
        except OSError as exc:
            raise LinkError(f"{path}: {exc.strerror or exc}") from exc
    try:
        return msgspec.json.decode(data, type=Report)
    except msgspec.MsgspecError as exc:
        raise RemoteProtocolError(f"{path}: {len(data)} B that are no report: {exc}") from exc


def uptime_s(pid: int) -> float:
    """How long this process has run; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        up_s = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError):
        return 0.0
    return max(0.0, up_s - int(fields[19]) / os.sysconf("SC_CLK_TCK"))


def lock_holder(lock_path: Path, locks: str) -> int | None:
    """The process that holds this flock, by /proc/locks; None when nobody does.

    Trying to take it could keep an agent from starting at that very moment.
    """
    try:
        status = lock_path.stat()
    except OSError:
        return None
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in locks.splitlines():
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted:
            return int(words[4])
    return None

"""One run of one contestant: server up, clock, command, clock, compare, clear.  Linux only."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from benchmarks.moving.mover import Job, Mover
from benchmarks.moving.trees import Found, difference, look

ROOT: Final = Path(__file__).parent.parent.parent
START_S: Final = 15.0  # for a server to listen
SETTLE_S: Final = 1.0  # for what a server has started for us to end
_POLL_S: Final = 0.002
_LISTENS: Final = "0A"


class Failed(Exception):
    """It did not move the tree; says why."""


@dataclass(frozen=True, slots=True)
class Run:
    took_s: float
    cpu_move_s: float  # processor time of the asking end, all its processes
    cpu_serve_s: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where both ends run: on one machine, or each in a namespace of its own."""

    host: str = "127.0.0.1"
    serve_inside: tuple[str, ...] = ()  # before a command: run it there
    move_inside: tuple[str, ...] = ()


def run(mover: Mover, tree: Path, found: Found, work: Path, place: Place, *, up: bool, limit_s: float) -> Run:
    """Move the tree once; `found` is what is in it.

    Raises:
        Failed: It took too long, said no, or something else has arrived.
    """
    target = Path(tempfile.mkdtemp(prefix="target-", dir=work.parent))
    job = Job(tree, target, work, place.host, _free_port(), up)
    try:
        with _server(mover, job, place) as serving:
            cpu_before_s = _cpu_s(serving)
            took_s, cpu_move_s = _move(mover, job, place, limit_s)
            _settle(serving)
            cpu_serve_s = _cpu_s(serving) - cpu_before_s
        problem = difference(found, look(target), mtime=mover.mtime, one_file=mover.one_file, flat=mover.flat)
        if problem:
            raise Failed(problem)
        return Run(took_s, cpu_move_s, cpu_serve_s)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _environment(mover: Mover) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **dict(mover.environment)}


def _move(mover: Mover, job: Job, place: Place, limit_s: float) -> tuple[float, float]:
    """Wall and processor seconds."""
    with tempfile.TemporaryFile() as said:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [*place.move_inside, *mover.move(job)],
            cwd=job.work,
            env=_environment(mover),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        limit = threading.Timer(limit_s, _end_group, [process.pid])
        limit.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            _end_group(process.pid)
            raise
        finally:
            limit.cancel()
        took_s = time.perf_counter() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if took_s > limit_s:
            raise Failed(f"more than {limit_s:g} s")
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    if process.returncode:
        raise Failed(lines[-1] if lines else f"exit {process.returncode}, without a word")
    for line in lines:
        if line.startswith("took "):
            took_s = float(line.split()[1])
    return took_s, usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def _server(mover: Mover, job: Job, place: Place) -> Iterator[int]:
    """It listens; gives its process id, or 0 when nobody serves."""
    if mover.serve is None:
        yield 0
        return
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*place.serve_inside, *mover.serve(job)],
            cwd=job.work,
            env=_environment(mover),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await_listening(process, job.port, said)
            yield process.pid
        finally:
            started = _descendants(process.pid)
            _end_group(process.pid)
            process.wait()
            for pid in started:  # sshd gives each connection a session of its own
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _await_listening(process: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    """Without connecting: some serve one connection only."""
    end_s = time.monotonic() + START_S
    while not _listens(process.pid, port):
        if process.poll() is not None or time.monotonic() > end_s:
            said.seek(0)
            words = said.read().decode(errors="replace").split("\n")
            raise Failed(f"its server does not listen: {' '.join(words[-3:])}")
        time.sleep(_POLL_S)


def _listens(pid: int, port: int) -> bool:
    """In the namespace of this process."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    return True
    return False


def _settle(pid: int) -> None:
    end_s = time.monotonic() + SETTLE_S
    while pid and _descendants(pid) and time.monotonic() < end_s:
        time.sleep(_POLL_S)


def _descendants(pid: int) -> list[int]:
    """All that run."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _cpu_s(pid: int) -> float:
    """Of a process, those it has waited for, and those that run."""
    ticks = 0
    for one in [pid, *_descendants(pid)] if pid else []:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


_ports = iter(range(21000, 31000))


def _free_port() -> int:
    """Another one for each run, for connections of the last one linger; in a namespace all are free."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Failed("no free port")

"""Processes: the worker as one, to start, see die and end; and what ours asks of the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pi_agent import neutral
from pi_agent.ciphers import cpu_info, environment_for
from pi_agent.link import GuardianLink, ToGuardian
from pynet_core.errors import HardwareError

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 8.0
STEADY_S: Final = 10.0  # a worker that ran this long was well: its death starts a new count
EXIT_CONFIG: Final = 78  # EX_CONFIG: no other try will work before somebody mends the settings
END_S: Final = 1.0  # from SIGTERM to SIGKILL
ORPHANS_S: Final = 0.2  # what lives on then is stuck in the kernel; the next burial tries again
REAL_TIME_PRIORITY: Final = 10  # of 1-99; the kernel's own interrupt threads have 50
OOM_SCORE: Final = 500  # of -1000 to 1000; most processes have 0, the guardian -1000 (never) from its unit
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_GET_CHILD_SUBREAPER: Final = 37
_SYSTEMD_VARIABLES: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})


def die_with_parent() -> None:
    """Let the kernel kill this process when the thread that started it dies; Linux only.

    Call it first of all.  A parent that is dead by then is seen too, and one
    that died before we ran our first line has closed the link.
    """
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Whatever the worker leaves behind becomes our child, so that `bury` finds it; Linux only.

    A plugin's child may have left the process group, and holds the gateway's
    port and the worker's end of the link for as long as it lives.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # no kernel in use refuses


def leave_will(runtime_dir: Path, ending: contextlib.ExitStack) -> None:
    """Once this process has died, however, its outputs are made neutral; to be called before `adopt_orphans`.

    Only systemd can do so when all else is killed too, or when we hang.

    Raises:
        HardwareError: No process can be started.
    """
    theirs, ours = os.pipe()
    ending.callback(os.close, ours)
    command = [sys.executable, "-I", "-S", neutral.__file__, str(runtime_dir), "--after", str(theirs)]
    try:
        # A session of its own: Ctrl-C and a terminal that closes are not for it.
        subprocess.run(
            command, stdin=subprocess.DEVNULL, pass_fds=[theirs], start_new_session=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as exc:
        raise HardwareError(f"nobody would stop the motors after us: {exc}") from exc
    finally:
        os.close(theirs)


def run_before_others() -> bool:
    """Let the calling thread, and none it starts, run as soon as it is due; False if we may not.

    Measured beside four busy processes on two cores: a tick is 0.4 ms late in
    the worst hundredth, and 20 ms without.
    """
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    if os.sched_getscheduler(0) == policy:
        return True  # systemd has seen to it, and lets nobody here ask for it (RestrictRealtime)
    try:
        os.sched_setscheduler(0, policy, os.sched_param(REAL_TIME_PRIORITY))
    except OSError:
        return False
    return True


def stay_in_memory() -> bool:
    """Never wait for a page of this process to come back from the disk; False if we may not.

    What is there now is fetched to the last page, and stays; what comes later
    stays once it has been used: whole, each thread's stack would be 8 MB.
    """
    if os.geteuid() != 0 and resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        return False  # it might succeed now, and then refuse us memory later
    libc = ctypes.CDLL(None)
    # In this order: each call says anew what becomes of later pages.
    return all(libc.mlockall(flags) == 0 for flags in (_MCL_CURRENT, _MCL_FUTURE | _MCL_ONFAULT))


def be_killed_first() -> None:
    """When memory is out, the kernel is to take this process rather than the one that owns the motors."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))


class Backoff:
    """How long to wait before the next start: 0.5 s, doubling to 8 s."""

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S

    def after(self, ran_s: float) -> float:
        """The pause, given how long the one that died ran."""
        if ran_s >= STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        return pause_s


class WorkerProcess:
    """One run of the worker.  Belongs to the main thread: the kernel ties the child's life to it.

    `select` may wait for it: readable is dead.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start `command` with `--link-fd N`, in a session and process group of its own.

        Raises:
            HardwareError: It cannot be started; later it may.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in os.environ.keys() - _SYSTEMD_VARIABLES}
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [*command, "--link-fd", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    env=environment_for(environment, cpu_info()),
                )
            self._pidfd = os.pidfd_open(self._process.pid)
        except OSError as exc:
            ours.close()
            raise HardwareError(f"cannot start the worker: {exc}") from exc
        self.link = GuardianLink(ours, ToGuardian)

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        return self._pidfd

    def kill(self) -> None:
        """Kill it and all it started that did not leave its process group.  Does not wait."""
        # Not yet reaped, so its group number still is its own.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def bury(self) -> int:
        """After its death: kill what it left behind; its exit code, -N for signal N."""
        self.kill()
        code = self._process.wait()
        _bury_orphans()
        os.close(self._pidfd)
        self.link.close()
        return code

    def ask_to_end(self) -> None:
        # Popen.send_signal would reap it, and then its group number may be another's.
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)

    def is_dead(self, timeout_s: float) -> bool:
        """Whether it is, within `timeout_s`."""
        return bool(select.select([self], [], [], timeout_s)[0])


def _bury_orphans() -> None:
    """Where we adopt them: kill our children, and theirs as they become ours; there are no others now."""
    adopts = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(adopts), 0, 0, 0)
    if not adopts.value:
        return
    until_s = time.monotonic() + ORPHANS_S
    while (children := _children()) and time.monotonic() < until_s:
        for pid in children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)


def _children() -> list[int]:
    """By looking at every process: not every kernel lists them."""
    own = str(os.getpid())
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            if (folder / "stat").read_text().rpartition(")")[2].split()[1] == own:
                found.append(int(folder.name))
    return found


def worker_command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pi_agent.worker", *arguments]

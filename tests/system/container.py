"""A throw-away machine with a real systemd as PID 1: boot it, break it, look inside.

    with Container(base_root("trixie")) as box:
        box.run("systemctl start pynet-agent")
        subprocess.run(box.outside("ping", "-c1", box.ADDRESS), check=True)

It stands on an overlay in memory, behind one cable: a veth pair between its
network and an outside network, neither of which is this machine's.  Mounts and
networks hang on two holder processes of ours, every process of the machine is
in a cgroup of its own that a third one watches over: all are gone when we are,
SIGKILL included.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.system.base_root import CACHE

BOOT_TIMEOUT_S: Final = 60.0
POWEROFF_TIMEOUT_S: Final = 20.0
LOOK_S: Final = 0.02
DISK: Final = "2g"
REAPER: Final = """\
read -r _
echo 1 >"$1/cgroup.kill"
for _ in $(seq 100); do
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.05
done
rm -f "$2"
"""
_PR_SET_PDEATHSIG: Final = 1
_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "SYSTEMD_PAGER": "",
    "DEBIAN_FRONTEND": "noninteractive",
}
_libc: Final = ctypes.CDLL(None)
_numbers: Final = itertools.count(1)


class Container:
    """One machine, off at first.  Belongs to the thread that makes it: its holders die with that thread.

    `start`, `poweroff` and `kill` may be called again and again: the disk stays until `close`.
    """

    ADDRESS: Final = "10.57.0.2"  # of the machine
    OUTSIDE: Final = "10.57.0.1"  # of the other end of the cable
    CABLE: Final = "pynet0"  # the network device's name, at both ends

    def __init__(self, base: Path) -> None:
        """Make disk and network; `base` is a folder by `base_root`."""
        self.name = f"pynet-{os.getpid()}-{next(_numbers)}"
        self.console = CACHE / f"{self.name}.console"
        self.boot_s = 0.0  # how long the last start took
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._ending = contextlib.ExitStack()
        try:
            disk = CACHE / "disk"  # empty, but for who looks from within the holder
            disk.mkdir(exist_ok=True)
            self._root = disk / "root"
            layers = f"lowerdir={base},upperdir={disk}/upper,workdir={disk}/work"
            self._holder = self._hold(
                "unshare --mount --net",
                f"mount -t tmpfs -o size={DISK},mode=755 tmpfs {disk}",
                f"mkdir {disk}/upper {disk}/work {self._root}",
                f"mount -t overlay -o {layers} pynet {self._root}",
            )
            self._outer = self._hold("unshare --net")
            self._lay_cable()
            self._cgroup = _cgroup_mount() / self.name
            self._cgroup.mkdir()
            # Ends when its stdin does, which is with us: PID 1 of a killed nspawn lives on.
            reaper = ["sh", "-c", REAPER, "sh", str(self._cgroup), str(self.console)]
            self._ending.enter_context(
                subprocess.Popen(reaper, stdin=subprocess.PIPE, start_new_session=True)
            )
        except BaseException:
            self._ending.close()
            raise

    def __enter__(self) -> Self:
        """Boot."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # power

    def start(self, *, wait: bool = True) -> None:
        """Boot; returns when systemd has started everything it wants, or at once without `wait`.

        Raises:
            RuntimeError: It does not come up; the text has its console.
        """
        begun_s = time.monotonic()
        command = [
            "systemd-nspawn",
            "-q",
            f"--directory={self._root}",
            f"--machine={self.name}",
            f"--network-namespace-path=/proc/{self._holder}/ns/net",
            "--register=no",  # there need be no systemd here
            "--keep-unit",
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
            "--console=pipe",
            # Without these two the systemd inside cannot enforce DeviceAllow and says nothing.
            "--capability=all",
            "--system-call-filter=bpf",
            "--boot",
        ]
        # A cgroup of its own: two machines in one would take each other's units for their own.
        script = f'echo 0 >{self._cgroup}/cgroup.procs; exec "$@"'
        with self.console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                ["nsenter", "-t", str(self._holder), "-m", "sh", "-c", script, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                preexec_fn=_die_with_us,
            )
        self._leader = self._find_leader(begun_s + BOOT_TIMEOUT_S)
        while wait and self._state() not in ("running", "degraded"):
            self._check(begun_s + BOOT_TIMEOUT_S)
            time.sleep(LOOK_S)
        self.boot_s = time.monotonic() - begun_s

    def poweroff(self) -> None:
        """Shut down in good order; killed if that takes 20 s."""
        if self._nspawn is None:
            return
        with contextlib.suppress(subprocess.SubprocessError):
            self.run("systemctl poweroff", check=False)
            self._nspawn.wait(POWEROFF_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """Pull the plug: every process of the machine ends at once, the disk stays."""
        if self._nspawn is None:
            return
        (self._cgroup / "cgroup.kill").write_text("1")
        self._nspawn.wait(POWEROFF_TIMEOUT_S)
        self._nspawn = None
        self._leader = 0
        _empty_cgroup(self._cgroup)

    def close(self) -> None:
        """Pull the plug and forget the disk.  Idempotent."""
        try:
            self.kill()
        finally:
            self._ending.close()

    # inside

    def run(
        self, command: str, *, check: bool = True, timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a line of shell in there, as root.

        Raises:
            RuntimeError: It failed, if `check`; the text has what it said.
            subprocess.TimeoutExpired: It hangs.
        """
        done = subprocess.run(
            [*self._inside(), "sh", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd="/",
            env=_ENVIRONMENT,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{command!r} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
        return done

    def popen(self, command: str) -> subprocess.Popen[str]:
        """The same, left running, with pipes; a signal to it does not reach what runs in there."""
        return subprocess.Popen(
            [*self._inside(), "sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=_ENVIRONMENT,
            preexec_fn=_die_with_us,
        )

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """What `systemctl show` says of these properties."""
        lines = self.run(f"systemctl show {unit} -p {','.join(properties)}").stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def path(self, path: str) -> Path:
        """Where this absolute path of the machine is found from here, to read, write and map.

        /run too, while it is on.  Valid until the next power cycle.  The path
        must not lead through an absolute link: /run/x, not /var/run/x.
        """
        if self._leader:
            return Path(f"/proc/{self._leader}/root") / path.lstrip("/")
        return Path(f"/proc/{self._holder}/root") / self._root.relative_to("/") / path.lstrip("/")

    def pid(self, pid: int) -> int:
        """The number here of the process that has this number in there.

        Raises:
            ProcessLookupError: There is none.
        """
        for entry in self._processes():
            if _innermost_pid(entry) == pid:
                return entry
        raise ProcessLookupError(f"no process {pid} in {self.name}")

    # the cable

    def outside(self, *command: str) -> list[str]:
        """This command, to be started at the other end of the cable: give it to subprocess."""
        return ["nsenter", "-t", str(self._outer), "-n", *command]

    def at_its_end(self, *command: str) -> list[str]:
        """This command with programs and files from here, at the machine's end: tc, nft, ip, ss."""
        return ["nsenter", "-t", str(self._holder), "-n", *command]

    # ours

    def _inside(self) -> list[str]:
        assert self._leader, "it is off"
        return ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C"]

    def _hold(self, unshare: str, *script: str) -> int:
        lines = " && ".join(["set -e", *script, "ip link set lo up", "echo held", "exec sleep infinity"])
        process = subprocess.Popen(
            [*unshare.split(), "sh", "-c", lines],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_us,
        )
        self._ending.enter_context(process)
        self._ending.callback(process.kill)
        assert process.stdout is not None and process.stderr is not None
        if process.stdout.readline() != b"held\n":
            raise RuntimeError(f"cannot make the machine: {process.stderr.read().decode()}")
        return process.pid

    def _lay_cable(self) -> None:
        ours, theirs = self.at_its_end("ip"), self.outside("ip")
        peer = ["peer", "name", self.CABLE, "netns", str(self._outer)]
        _do(*ours, "link", "add", self.CABLE, "type", "veth", *peer)
        for end, address in ((ours, self.ADDRESS), (theirs, self.OUTSIDE)):
            _do(*end, "addr", "add", f"{address}/24", "dev", self.CABLE)
            _do(*end, "link", "set", self.CABLE, "up")

    def _find_leader(self, until_s: float) -> int:
        while True:
            for pid in self._processes():
                with contextlib.suppress(OSError):
                    if _innermost_pid(pid) == 1 and Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                        return pid
            self._check(until_s)
            time.sleep(LOOK_S)

    def _processes(self) -> Iterator[int]:
        for folder in self._cgroup.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # a unit that has ended meanwhile
                yield from map(int, folder.read_text().split())

    def _state(self) -> str:
        return self.run("systemctl is-system-running --wait", check=False).stdout.strip()

    def _check(self, until_s: float) -> None:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None or time.monotonic() > until_s:
            text = self.console.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the machine does not come up:\n{text}")


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


def _die_with_us() -> None:
    """In the child: SIGKILL when our thread dies, so that no machine is left running."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _innermost_pid(pid: int) -> int:
    numbers = re.search(r"^NSpid:\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(numbers[1].split()[-1]) if numbers else pid


def _cgroup_mount() -> Path:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise RuntimeError("no cgroup2 is mounted here")


def _empty_cgroup(cgroup: Path) -> None:
    """Remove what the machine has made in it; the kernel takes a moment to see that all are dead."""
    for folder in sorted((path for path in cgroup.rglob("*") if path.is_dir()), reverse=True):
        until_s = time.monotonic() + 2.0
        while folder.is_dir():
            try:
                folder.rmdir()
            except OSError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(LOOK_S)

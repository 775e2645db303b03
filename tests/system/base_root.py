"""Debian root folders that containers stand on: built once a suite, kept, never changed.

`base_root("trixie")` takes a minute the first time, in which all suites are
built side by side, and nothing after.  `python -m tests.system.base_root` builds all there are.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

CACHE: Final = Path("/var/cache/pynet-tests")
KEPT_S: Final = 24 * 3600.0
SUITES: Final = ("bookworm", "trixie")  # Python 3.11 with systemd 252, Python 3.13 with systemd 257
TOOLS: Final = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "ip": "iproute2"}

SYSTEM: Final = ("systemd", "systemd-sysv", "dbus", "udev", "iproute2", "procps")
CLEAN: Final = ("python3", "git", "ca-certificates")
PACKAGING: Final = Path(__file__).resolve().parents[2] / "systemd/debian"


class CannotRun(Exception):
    """There are no containers on this machine; the text says why."""


def base_root(suite: str) -> Path:
    """The folder with this suite, and what our packages need, in it; nobody may write there.

    Raises:
        CannotRun: We are not root, or the tools or the packages cannot be had.
    """
    return _roots("", sorted({*SYSTEM, *_depends()}))[suite]


def clean_root(suite: str) -> Path:
    """The same of a machine on which somebody has Python and git, and nothing of ours."""
    return _roots("clean-", CLEAN)[suite]


def _roots(prefix: str, packages: Sequence[str]) -> dict[str, Path]:
    if os.geteuid() != 0:
        raise CannotRun("needs root: containers with a systemd of their own")
    recipe = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    roots = {suite: CACHE / f"{prefix}{suite}-{recipe}" for suite in SUITES}
    with _alone(), ThreadPoolExecutor() as pool:
        _get_tools()
        missing = [name for name, root in roots.items() if not root.is_dir()]
        list(pool.map(lambda name: _build(name, packages, roots[name]), missing))
    return roots


def _depends() -> Iterator[str]:
    """What our packages want of Debian: the containers have no way to a mirror."""
    for control in PACKAGING.glob("*/control"):
        for line in control.read_text().splitlines():
            if line.startswith("Depends:"):
                names = [word.split()[0] for word in line.partition(":")[2].split(",")]
                yield from (name for name in names if not name.startswith("pynet"))


def _build(suite: str, packages: Sequence[str], root: Path) -> None:
    for old in CACHE.glob(
        f"{root.name.rpartition('-')[0]}-*"
    ):  # of other recipes; another checkout's tests may run on a new one
        if time.time() - old.stat().st_mtime > KEPT_S:
            shutil.rmtree(old)
    fresh = root.with_name(f"{root.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)  # half done
    done = subprocess.run(
        [
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(packages)}",
            "--dpkgopt=force-unsafe-io",
            '--aptopt=Acquire::Languages "none"',
            *(f"--aptopt={line}" for line in _apt_settings()),
            suite,
            str(fresh),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise CannotRun(f"mmdebstrap cannot build {suite}, is this machine online?\n{done.stderr[-1000:]}")
    # With a machine id it has been booted before: systemd skips what it does once in a machine's life.
    (fresh / "etc/machine-id").write_text(os.urandom(16).hex() + "\n")
    fresh.rename(root)


def _apt_settings() -> list[str]:
    """What this machine's apt says about proxies and certificates."""
    dump = ["apt-config", "dump", "Acquire"]
    said = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if re.search(r'(?i)(proxy|ca-?info|verify).* ".+"', line)]


def _get_tools() -> None:
    lacks = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if not lacks:
        return
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *lacks]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise CannotRun(f"needs what Debian calls {', '.join(lacks)}: {exc}") from exc


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two that start at once would build into one folder."""
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for build in (base_root, clean_root):
        build(SUITES[0])

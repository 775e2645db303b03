"""Empty Debian machines, and in each what the README says: git clone, ./run test --quick, ./run demo.

`./run prove clean [SUITE ...]` does all of it and prints how long each step
took.  Needs root.  A machine is a Debian root with Python and git, run by
systemd-nspawn; what happens in it goes into a layer above, which is thrown
away.  The machines use this one's network, and its way to the package
registries: the settings of apt and pip, certificates, proxies.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.system.base_root import SUITES, CannotRun, clean_root

REPOSITORY: Final = Path(__file__).parents[2]
CLONE: Final = "/root/pynet"
TEST: Final = ("./run", "test", "--quick")
DEMO: Final = ("./run", "demo", "--headless", "--seconds", "10")
STEP_S: Final = 1800.0
MOUNT: Final = 'mount -t overlay -o "$1" overlay "$2" && shift 2 && exec "$@"'
LOGS: Final = Path("out")

PIP_SETTINGS: Final = ("/etc/pip.conf", "/etc/xdg/pip", "/root/.config/pip", "/root/.pip")
CERTIFICATES: Final = "/usr/local/share/ca-certificates"
PASSED_ON: Final = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|CERT|PROXY|TRUSTED_HOST|DEFAULT_TIMEOUT)|(HTTPS?|NO)_PROXY"
    r"|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE",
    re.IGNORECASE,
)
# Run by the machine's own Python: nothing may be there that could stand in for what a first run must fetch.
LOOK: Final = """
import importlib.metadata, importlib.util, pathlib, sys
found = [each.name for each in importlib.metadata.distributions()]
found += [name for name in ("pip", "ensurepip", "setuptools") if importlib.util.find_spec(name)]
found += [str(path) for top in ("/root", "/home", "/opt", "/srv", "/tmp", "/usr/local/lib", "/var/tmp")
          for path in pathlib.Path(top).rglob("*") if path.suffix in (".whl", ".py") or path.name == ".cache"]
sys.exit(f"this machine is not empty: {found}" if found else 0)
"""


class StepFailed(Exception):
    """What failed, and the last that it said."""


class CleanMachine:
    """An empty machine of one Debian release, in a folder that may be deleted afterwards.

    What it says is written to the log.  A command that takes longer than `step_s` has failed.
    """

    def __init__(self, suite: str, folder: Path, log: Path, step_s: float) -> None:
        """Make it, and look that it is empty.

        Raises:
            CannotRun: No machine can be made here.
            StepFailed: It is not empty.
        """
        base = clean_root(suite)
        self._name = folder.name.replace("_", "-") + "0"  # a host name: no underscore, no hyphen at the end
        self._root, layer, work, self._repository = (
            folder / part for part in ("root", "layer", "work", "repository")
        )
        for part in (self._root, layer, work):
            part.mkdir()
        self._layers = f"lowerdir={base},upperdir={layer},workdir={work}"
        self._log = log
        self._step_s = step_s
        # Whoever the checkout belongs to.
        clone = ["git", "-c", "safe.directory=*", "clone", "-q", "--bare"]
        if subprocess.run([*clone, REPOSITORY, self._repository], check=False).returncode != 0:
            raise CannotRun(f"git cannot clone {REPOSITORY}")
        self.run("python3", "-c", LOOK)
        _copy_settings(layer)
        self.run("update-ca-certificates")

    def run(self, *command: str, folder: str = "/") -> float:
        """Run a command in it as root; returns the seconds that it took.

        Raises:
            StepFailed
        """
        passed_on = [
            f"--setenv={name}={value}" for name, value in os.environ.items() if PASSED_ON.fullmatch(name)
        ]
        began_s = time.monotonic()
        with self._log.open("a") as log:
            print("$", *command[:3], file=log, flush=True)
            try:
                subprocess.run(
                    [
                        # In a namespace of its own: the mount ends with the machine, whatever ends it.
                        *("unshare", "--mount", "sh", "-c", MOUNT, "sh", self._layers, self._root),
                        *("systemd-nspawn", "--quiet", f"--directory={self._root}", "--as-pid2"),
                        *(f"--machine={self._name}", "--register=no", "--keep-unit", "--link-journal=no"),
                        *("--console=pipe", "--timezone=off", "--resolv-conf=copy-host", *passed_on),
                        *(f"--bind-ro={self._repository}:/repository", f"--chdir={folder}", *command),
                    ],
                    env=os.environ | {"SYSTEMD_NSPAWN_LOCK": "0"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=self._step_s,
                    check=True,
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as exc:
                raise StepFailed(f"{' '.join(command[:3])}: {self._log.read_text()[-3000:]}") from exc
        return time.monotonic() - began_s


def _copy_settings(root: Path) -> None:
    """This machine's way to the registries.  `update-ca-certificates` makes the certificates known there."""
    for name in (*PIP_SETTINGS, CERTIFICATES):
        source, target = Path(name), root / name[1:]
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def first_steps(suite: str, log: Path, *tests: str, step_s: float) -> dict[str, float]:
    """Clone, test and demo on an empty machine; the seconds that each took.

    `tests`: only these, in place of all quick ones.  `step_s`: what takes longer has failed.

    Raises:
        CannotRun, StepFailed
    """
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    with tempfile.TemporaryDirectory(prefix="pynet-clean-", dir="/var/tmp") as folder:
        machine = CleanMachine(suite, Path(folder), log, step_s)
        return {
            "clone": machine.run("git", "clone", "-q", "/repository", CLONE),
            "test": machine.run(*TEST, *tests, folder=CLONE),
            "demo": machine.run(*DEMO, folder=CLONE),
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove clean", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of: {', '.join(SUITES)}; all by default")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"no machine called {', '.join(unknown)}; there are: {', '.join(SUITES)}")
    failed = False
    for suite in options.suites or SUITES:
        log = LOGS / f"clean-{suite}.log"
        try:
            seconds = first_steps(suite, log, step_s=STEP_S)
            print(f"{suite:10}", *(f"{name} {took_s:.0f} s" for name, took_s in seconds.items()), flush=True)
        except (CannotRun, StepFailed) as exc:
            print(f"{suite:10} FAILED: {exc}; see {log}", flush=True)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

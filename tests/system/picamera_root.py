"""A Debian with the real libcamera and the real picamera2, and a virtual camera instead of a sensor.

    python -m tests.system.picamera_root [--seconds N]     build it, and prove the camera in it

Building takes two minutes and 1 GB once; `run` starts a program of ours in it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.system.base_root import CACHE, CannotRun

PACKAGES: Final = (
    *("ca-certificates", "python3-venv", "python3-numpy", "python3-pil"),
    *("python3-libcamera", "libcamera-ipa", "gcc", "libc6-dev", "python3-dev", "libcap-dev"),
)
WHEELS: Final = ("picamera2==0.3.38", "msgspec>=0.19")
PYTHON: Final = "/opt/venv/bin/python"
REPOSITORY: Final = Path(__file__).parents[2]
CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"
CAMERA_FILE: Final = "usr/share/libcamera/pipeline/virtual/virtual.yaml"
CAMERA: Final = """%YAML 1.1
---
"PynetCam":
  supported_formats:
  - width: 640
    height: 480
    frame_rates: [30, 60]
  - width: 1280
    height: 720
    frame_rates: [30, 60]
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "pynet virtual"
"""
_RECIPE: Final = hashlib.sha256(repr((PACKAGES, WHEELS, CAMERA)).encode()).hexdigest()[:12]
ROOT: Final = CACHE / f"picamera-{_RECIPE}"


def is_built() -> bool:
    return ROOT.is_dir() and os.geteuid() == 0 and shutil.which("systemd-nspawn") is not None


def build() -> None:
    """Make the root, if there is none yet.

    Raises:
        CannotRun: We are not root, or the tools or packages cannot be had.
    """
    if os.geteuid() != 0:
        raise CannotRun("needs root: a Debian of its own with picamera2 in it")
    for tool, package in (("mmdebstrap", "mmdebstrap"), ("systemd-nspawn", "systemd-container")):
        if shutil.which(tool) is None:
            raise CannotRun(f"needs {tool}:  apt-get install -y {package}")
    if ROOT.is_dir():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    fresh = ROOT.with_name(f"{ROOT.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _do("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "trixie", str(fresh))
    shutil.copy(f"/{CERTIFICATES}", fresh / CERTIFICATES)  # this machine's, which may know a proxy
    shutil.copy("/etc/resolv.conf", fresh / "etc/resolv.conf")
    _do("chroot", str(fresh), "python3", "-m", "venv", "--system-site-packages", "/opt/venv")
    pip = ("/opt/venv/bin/pip", "install", "--no-cache-dir", *WHEELS)
    _do("chroot", str(fresh), "env", f"PIP_CERT=/{CERTIFICATES}", "HOME=/root", "PATH=/usr/bin:/bin", *pip)
    camera = fresh / CAMERA_FILE
    camera.parent.mkdir(parents=True, exist_ok=True)
    camera.write_text(CAMERA)
    (fresh / "repository").mkdir()
    fresh.rename(ROOT)
    for old in CACHE.glob("picamera-*"):
        if old != ROOT:
            shutil.rmtree(old)


def run(module: str, *arguments: str, timeout_s: float, cameras: bool = True) -> str:
    """Run `python -m module` of this repository in there; what it says on stdout.

    Raises:
        AssertionError: It failed; the text has what it said.
    """
    command = ["systemd-nspawn", "-q", f"--directory={ROOT}", "--read-only", "--as-pid2", "--register=no"]
    command += ["--keep-unit", "--private-network", "--console=pipe", "--resolv-conf=off", "--timezone=off"]
    command += [f"--bind-ro={REPOSITORY}:/repository", "--chdir=/repository", "--link-journal=no"]
    command += ["--setenv=PYTHONDONTWRITEBYTECODE=1", "--setenv=LIBCAMERA_LOG_LEVELS=*:FATAL"]
    if not cameras:
        command += [f"--bind-ro=/dev/null:/{CAMERA_FILE}"]
    done = subprocess.run(
        [*command, PYTHON, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=os.environ | {"SYSTEMD_NSPAWN_LOCK": "0", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
    )
    assert done.returncode == 0, f"{module} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRun(f"{command[0]} failed, is this machine online?\n{done.stderr[-2000:]}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove camera", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each size is measured")
    seconds: float = parser.parse_args().seconds
    try:
        print(f"building {ROOT}" if not ROOT.is_dir() else f"in {ROOT}", file=sys.stderr)
        build()
        print(run("tests.system.virtual_camera", "--seconds", str(seconds), timeout_s=120 + 2 * seconds))
    except (CannotRun, AssertionError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

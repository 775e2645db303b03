"""What everybody has: rsync's daemon, tar over netcat, rclone, cp."""

from __future__ import annotations

import os
import shlex
from typing import Final

from benchmarks.moving.mover import Job, Mover, needs

RCLONE_FILES: Final = "16"  # at a time


def _rsync_daemon(job: Job) -> list[str]:
    settings = job.work / "rsyncd.conf"
    lines = [
        "use chroot = no",
        "reverse lookup = no",
        "log file = /dev/null",
        f"[down]\npath = {job.source}\nread only = yes",
    ]
    lines.append(f"[up]\npath = {job.target}\nread only = no")
    if os.geteuid() == 0:  # else it becomes nobody, who may not read our folders
        lines[0:0] = ["uid = root", "gid = root"]
    settings.write_text("\n".join(lines) + "\n")
    where = ["--address", job.host, "--port", str(job.port)]
    return ["rsync", "--daemon", "--no-detach", "--config", str(settings), *where]


def _rsync(job: Job, *options: str) -> list[str]:
    remote = f"rsync://{job.host}:{job.port}/{'up' if job.up else 'down'}/"
    ends = [f"{job.source}/", remote] if job.up else [remote, f"{job.target}/"]
    return ["rsync", "-a", *options, *ends]


def _shell(command: str) -> list[str]:
    return ["sh", "-c", command]


def _pack(job: Job) -> str:
    return f"tar -C {shlex.quote(str(job.source))} -cf - ."


def _unpack(job: Job) -> str:
    return f"tar -C {shlex.quote(str(job.target))} -xf -"


def _tar_serve(job: Job) -> list[str]:
    where = f"{job.host} {job.port}"
    return _shell(f"nc -d -l {where} | {_unpack(job)}" if job.up else f"{_pack(job)} | nc -N -l {where}")


def _tar_move(job: Job) -> list[str]:
    where = f"{job.host} {job.port}"
    return _shell(f"{_pack(job)} | nc -N {where}" if job.up else f"nc -d {where} | {_unpack(job)}")


def _rclone_serve(job: Job) -> list[str]:
    return ["rclone", "serve", "http", str(job.source), "--addr", f"{job.host}:{job.port}", "--config", ""]


def _rclone(job: Job) -> list[str]:
    url = ["--http-url", f"http://{job.host}:{job.port}", "--config", ""]
    many = ["--transfers", RCLONE_FILES, "--checkers", RCLONE_FILES]
    return ["rclone", "copy", ":http:", str(job.target), *url, *many]


_has_rsync = needs("rsync", package="rsync")

RSYNC_DAEMON: Final = Mover("rsync daemon", _rsync, _rsync_daemon, _has_rsync, goes_up=True)
RSYNC_Z: Final = Mover(
    "rsync daemon -z", lambda job: _rsync(job, "-z"), _rsync_daemon, _has_rsync, goes_up=True
)
TAR: Final = Mover(
    "tar over netcat",
    _tar_move,
    _tar_serve,
    needs("tar", "nc", package="netcat-openbsd"),
    goes_up=True,
    mtime="s",
)
RCLONE: Final = Mover("rclone http", _rclone, _rclone_serve, needs("rclone", package="rclone"), mtime="s")
CP: Final = Mover("cp -r", lambda job: ["cp", "-r", f"{job.source}/.", str(job.target)], mtime="lost")

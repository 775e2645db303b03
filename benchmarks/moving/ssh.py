"""What goes over ssh, to an sshd of its own with keys that are thrown away: rsync, scp, asyncssh."""

from __future__ import annotations

import getpass
import os
import shlex
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.moving.mover import APT, Job, Mover, find, needs
from benchmarks.peers import peers_python

_NO_QUESTIONS: Final = (
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "BatchMode=yes",
    "LogLevel=ERROR",
)
_END: Final = "benchmarks.moving.asyncssh_end"


def _key(job: Job, name: str) -> Path:
    path = job.work / name
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def _sshd(job: Job) -> list[str]:
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks itself in; its service makes it
    settings = {
        "HostKey": _key(job, "host_key"),
        "AuthorizedKeysFile": _key(job, "user_key").with_suffix(".pub"),
        "ListenAddress": job.host,
        "Port": job.port,
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "Subsystem": "sftp internal-sftp",
    }
    path = job.work / "sshd_config"
    path.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    return [find("sshd") or "sshd", "-D", "-e", "-f", str(path)]  # it wants its full path


def _options(job: Job) -> list[str]:
    chosen = ["-F", "none", "-i", str(_key(job, "user_key"))]
    for option in _NO_QUESTIONS:
        chosen += ["-o", option]
    return chosen


def _there(job: Job) -> str:
    """The folder over there."""
    return f"{getpass.getuser()}@{job.host}:{job.target if job.up else job.source}"


def _rsync(job: Job) -> list[str]:
    shell = shlex.join(["ssh", "-p", str(job.port), *_options(job)])
    ends = [f"{job.source}/", f"{_there(job)}/"] if job.up else [f"{_there(job)}/", f"{job.target}/"]
    return ["rsync", "-a", "-e", shell, *ends]


def _scp(job: Job) -> list[str]:
    ends = [f"{job.source}/.", _there(job)] if job.up else [f"{_there(job)}/.", str(job.target)]
    return ["scp", "-q", "-r", "-p", "-P", str(job.port), *_options(job), *ends]


def _asyncssh(job: Job) -> list[str]:
    key, user = str(_key(job, "user_key")), getpass.getuser()
    ends = [str(job.source), str(job.target)]
    return [str(peers_python("asyncssh")), "-m", _END, job.host, str(job.port), user, key, *ends]


def _lacks_asyncssh() -> str:
    return _has_ssh() or ("" if peers_python("asyncssh") else "pip install asyncssh, in .venv-peers")


_has_ssh = needs("sshd", "ssh", "scp", package="openssh-server openssh-client")

RSYNC_SSH: Final = Mover(
    "rsync over ssh",
    _rsync,
    _sshd,
    lambda: _has_ssh() or ("" if find("rsync") else f"{APT} rsync"),
    goes_up=True,
)
SCP: Final = Mover("scp", _scp, _sshd, _has_ssh, goes_up=True, mtime="s")
ASYNCSSH: Final = Mover("asyncssh", _asyncssh, _sshd, _lacks_asyncssh, mtime="s")

"""pynet and its ancestor, and the floor: the contestants that are Python programs of this folder."""

from __future__ import annotations

import sys
from typing import Final

from benchmarks.moving.mover import Job, Mover
from benchmarks.peers import peers_python

PAIRS: Final = (1, 2, 5, 8, 16)


def pynet(*, tls: bool = False, pairs: int = 0) -> Mover:
    """So many pairs; 0: as many as it chooses itself."""

    def command(verb: str, job: Job) -> list[str]:
        ends = [job.host, str(job.port), str(job.source), str(job.target)]
        return [sys.executable, "-m", "benchmarks.moving.pynet_end", verb, *ends]

    environment = [("CONTESTANT_TLS", "1")] if tls else []
    if pairs:
        environment.append(("CONTESTANT_PAIRS", str(pairs)))
    return Mover(
        "pynet" + (f" {pairs} pair" if pairs else "") + "s" * (pairs > 1) + (" TLS" if tls else ""),
        lambda job: command("put" if job.up else "get", job),
        lambda job: command("serve", job),
        goes_up=True,
        environment=tuple(environment),
    )


def _raw(verb: str, job: Job) -> list[str]:
    folder = job.source if verb == "serve" else job.target
    return [sys.executable, "-m", "benchmarks.moving.raw_end", verb, job.host, str(job.port), str(folder)]


def _pynetwork(verb: str, job: Job) -> list[str]:
    ends = [job.host, str(job.port), str(job.source), str(job.target)]
    return [str(peers_python("pynetwork")), "-m", "benchmarks.moving.pynetwork_end", verb, *ends]


RAW: Final = Mover(
    "raw sendfile, splice",
    lambda job: _raw("fetch", job),
    lambda job: _raw("serve", job),
    one_file=True,
    mtime="lost",
)
PYNETWORK: Final = Mover(
    "pynetwork 2.4",
    lambda job: _pynetwork("get", job),
    lambda job: _pynetwork("serve", job),
    lambda: "" if peers_python("pynetwork") else "pip install pynetwork==2.4 tqdm, in .venv-peers",
    flat=True,
    mtime="lost",
)
PYNET: Final = pynet()
PYNET_TLS: Final = pynet(tls=True)

"""Kill a transfer with SIGKILL at a random byte, again and again, and compare what has come in the end.

`./run prove files [--kills N] [--seed S]` prints how many kills there really
were: N of trees over many pairs, both ways and at both ends (tree_kills.py),
and a tenth of that of plain downloads over one pair.  Each of these: three
files, a controller process that fetches
them through a relay which holds the rest back from a random byte on, SIGKILL,
nothing half under a final name; after three of these an attempt that is left
alone, and every file as it was sent.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from pynet_core.transfer.flat import PIECE_BYTES
from pynet_core.transfer.stock import SMALL_BYTES
from tests.core.file_place import assert_arrived, assert_nothing_half, make, place_in, run_python
from tests.core.relay import Relay
from tests.system.tree_kills import prove

KILLS_A_TRIAL: Final = 3
SIZES: Final = (5000, PIECE_BYTES + 3 * SMALL_BYTES // 2, 0)
# It says when it is connected, so that the relay's count begins where the files do.
DOWNLOAD: Final = """
import sys
from pynet_core.controller import Controller
client = Controller(port=int(sys.argv[1]), download_dir=sys.argv[2]).get_client()
client.get_files_from_gateway(folder=sys.argv[3])
print("done", flush=True)
"""


def trial(rng: random.Random, folder: Path) -> int:
    """One trial; returns how many kills came before the download was done."""
    kills = 0
    with place_in(folder) as place:
        files = [make(place.source, f"file{n}", size=size)[0] for n, size in enumerate(SIZES)]
        (place.source / "file2").write_bytes(b"")
        for _ in range(KILLS_A_TRIAL):
            with Relay(place.gateway.port, stall_down=rng.randrange(sum(SIZES) + 2000)) as relay:
                process = run_python(DOWNLOAD, relay.port, place.down, place.source)
                try:
                    while process.poll() is None and not relay.stalled.wait(0.01):
                        pass
                    time.sleep(rng.random() * 0.01)  # it may be anywhere in what it has got
                    kills += process.poll() is None
                finally:
                    process.kill()
                    process.communicate()
            assert_nothing_half(files, place.down)
        with place.client_of() as client:
            client.get_files_from_gateway(folder=place.source)
        assert_arrived(files, place.down)
    return kills


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove files", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    prove(options.kills, options.seed)  # first: it forks, and has no threads
    rng = random.Random(options.seed)
    wanted = max(1, options.kills // 10)
    kills = trials = 0
    began_s = time.monotonic()
    while kills < wanted:
        with tempfile.TemporaryDirectory() as folder:
            kills += trial(rng, Path(folder))
        trials += 1
        if trials % 20 == 0:
            print(f"{kills} kills in {trials} downloads, all as sent", flush=True)
    seconds = time.monotonic() - began_s
    print(f"{kills} kills in {trials} downloads, all as sent; {seconds:.0f} s, seed {options.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

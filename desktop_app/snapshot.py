"""One picture of the camera to a file: the frame's own JPEG, as it came."""

from __future__ import annotations

import re
import threading
from datetime import datetime
from pathlib import Path

from PyQt5.QtCore import QObject, pyqtSignal


def save_snapshot(jpeg: bytes, folder: Path, robot: str, at: datetime) -> Path:
    """Write the JPEG under a name with robot and time; never over a file that is there.

    Waits for the disk: not for the GUI's thread.

    Raises:
        OSError: The folder cannot be written to, or the disk is full; nothing half-written stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w.-]+", "-", robot, flags=re.ASCII).strip("-.") or "robot"
    stem = f"{name[:60]}-{at:%Y-%m-%d-%H%M%S}-{at.microsecond // 1000:03d}"
    for attempt in range(100):
        path = folder / f"{stem}{f'-{attempt}' if attempt else ''}.jpg"
        try:
            with path.open("xb") as file:
                try:
                    file.write(jpeg)
                except OSError:
                    path.unlink(missing_ok=True)
                    raise
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{folder / stem}.jpg and 99 more of that name are there already")


class SnapshotSaver(QObject):
    """Saves in a thread: disks wait, slots do not."""

    saved = pyqtSignal(object, str)  # the Path, or None and why not

    def save(self, jpeg: bytes, folder: Path, robot: str, at: datetime) -> None:
        def run() -> None:
            try:
                path = save_snapshot(jpeg, folder, robot, at)
            except OSError as exc:
                self.saved.emit(None, str(exc))
            else:
                self.saved.emit(path, "")

        threading.Thread(target=run, name="pynet snapshot", daemon=True).start()

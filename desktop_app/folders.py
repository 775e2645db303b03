"""Where the window keeps things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PyQt5.QtCore import QStandardPaths


@dataclass(frozen=True, slots=True)
class Folders:
    """Files and folders, each made when it is first needed."""

    settings: Path
    crashes: Path
    pictures: Path

    @classmethod
    def of_this_system(cls) -> Folders:
        """The platform's own; needs the QApplication's name."""

        def place(kind: QStandardPaths.StandardLocation) -> Path:
            return Path(QStandardPaths.writableLocation(kind))

        return cls(
            settings=place(QStandardPaths.AppConfigLocation) / "settings.json",
            crashes=place(QStandardPaths.AppLocalDataLocation) / "crashes",
            pictures=place(QStandardPaths.PicturesLocation) / "pynet",
        )

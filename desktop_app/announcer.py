"""From any thread to the GUI's: something is new.  Never sent twice unanswered."""

from __future__ import annotations

from PyQt5.QtCore import QObject, pyqtSignal


class Announcer(QObject):
    """A queued signal per item would pile up in Qt's event queue whenever the GUI is slow.

    So the item waits in a mailbox, and the signal only says that there is one.
    """

    announced = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._is_announced = False

    def announce(self) -> None:
        """Any thread, after the item was put."""
        if not self._is_announced:
            self._is_announced = True
            self.announced.emit()

    def answer(self) -> None:
        """GUI thread, before the item is taken, so that none goes unannounced."""
        self._is_announced = False

"""Python's collector of cycles, kept to the GUI thread and out of paints.

Left alone it runs in whichever thread allocates next, and frees there what a
closed window has left behind: Qt objects, which only the GUI thread may
destroy, and none of them in the middle of a paint.
"""

from __future__ import annotations

import gc
from typing import Final

from PyQt5.QtCore import QObject, QTimer

LOOK_MS: Final = 250


class GarbageTimer(QTimer):
    """Collects when Python would have; GUI thread, between events.  Switches Python's own way off."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        gc.freeze()  # modules and classes live as long as we do: a whole collection need not look at them
        self.setInterval(LOOK_MS)
        self.timeout.connect(collect_what_is_due)
        self.start()


def collect_what_is_due() -> None:
    """One collection, of the oldest generation that is over Python's threshold."""
    over = [count > most for count, most in zip(gc.get_count(), gc.get_threshold(), strict=True)]
    if any(over):
        gc.collect(2 - over[::-1].index(True))

"""What a closed window leaves behind is freed by the GUI thread."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from PyQt5.QtCore import QObject
from PyQt5.QtWidgets import QApplication

from desktop_app.garbage import GarbageTimer


@pytest.fixture(autouse=True)
def python_as_before() -> Iterator[None]:
    gc.enable()
    yield
    gc.unfreeze()
    gc.enable()


class Knot:
    """A cycle, as of a widget and its slot."""

    def __init__(self) -> None:
        self.itself = self


def allocate() -> list[list[int]]:
    return [[i] for i in range(50 * gc.get_threshold()[0])]


def test_cycles_are_freed_by_the_gui_thread_whichever_thread_allocates(qtbot: Any) -> None:
    freed_by: list[int] = []
    owner = QObject()
    timer = GarbageTimer(owner)
    weakref.finalize(Knot(), lambda: freed_by.append(threading.get_ident()))
    kept = []
    other = threading.Thread(target=lambda: kept.append(allocate()))
    other.start()
    other.join()
    kept.append(allocate())
    assert not freed_by
    timer.timeout.emit()
    QApplication.processEvents()
    assert freed_by == [threading.get_ident()]

"""Somebody else's functions, called from a thread of ours that must live on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)
_Item = TypeVar("_Item")


class Callbacks(Generic[_Item]):
    """Called in order; one that raises is logged, and not called again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._changing = threading.Lock()
        self._callbacks: tuple[Callable[[_Item], None], ...] = ()

    def add(self, callback: Callable[[_Item], None]) -> None:
        """From any thread."""
        with self._changing:
            self._callbacks = (*self._callbacks, callback)

    def __call__(self, item: _Item) -> None:
        for callback in self._callbacks:
            try:
                callback(item)
            except Exception:  # not ours
                _log.exception("a callback of %s failed; it is not called again", self._name)
                with self._changing:
                    self._callbacks = tuple(each for each in self._callbacks if each is not callback)

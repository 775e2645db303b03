"""Ways to send commands that people use instead, each put in the place of the Operator's own."""

from __future__ import annotations

import threading
from typing import Final

from pynet_car.lines import DriveLine
from pynet_car.operator import Operator
from pynet_core.controller import Controller
from pynet_core.errors import PynetError
from pynet_core.mailbox import Mailbox

TWO_PAIRS: Final = "two pairs, one way (ours)"
ONE_PAIR: Final = "one pair, one way"
ASKED: Final = "request and reply"


class Asking(DriveLine):
    """Sends a command, waits until the car has taken it, sends the newest there is then."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("drive", threading.Event())
        self._asking = controller.get_client(purpose="control")
        self._newest: Mailbox[bytes] = Mailbox()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def put(self, command: bytes) -> None:
        self._newest.put(command)

    def _ask(self) -> None:
        while not self._newest.is_closed:
            if (command := self._newest.take(1.0)) is not None:
                try:
                    self._asking.send_subroutine_batch("drive", command)
                except PynetError:
                    return

    def close(self) -> None:
        self._newest.close()
        self._asking.abort()
        self._thread.join()
        self._asking.close()


def use(car: Operator, way: str) -> None:
    """From now on this operator drives that way.

    It reaches into it: nobody is to have this as an option.
    """
    own = car._drives
    if way == TWO_PAIRS:
        car._sender._lines = own
        return
    # One echo too: else two pairs would bring the news of one.
    car._echoes[1]._on_bytes = lambda data: None
    car._sender._lines = own[:1] if way == ONE_PAIR else (Asking(car._controller),)

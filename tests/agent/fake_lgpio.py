"""As much of lgpio 0.2 as gpiozero uses, on lines that we can move and look at.

With it gpiozero's own lgpio pins run, and ours on top of them, as on a Pi 4.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

KEPT = ("SET_BIAS_DISABLE", "SET_PULL_NONE", "SET_PULL_UP", "SET_PULL_DOWN")
IS_OUT = 1 << 1


class Error(Exception):
    pass


class Lines:
    """The gpiochip behind the module."""

    def __init__(self) -> None:
        self.levels: dict[int, int] = {}
        self.outputs: set[int] = set()
        self.pwm: dict[int, tuple[float, float]] = {}  # line: Hz, percent
        self.alerts: dict[int, Callable[[int, int, int, int], None]] = {}
        self.when_written: Callable[[int, int], None] = lambda line, level: None

    def move(self, line: int, level: int, ns: int) -> None:
        """Somebody outside drives an input; `ns` is the kernel's stamp."""
        self.levels[line] = level
        alert = self.alerts.get(line)
        if alert is not None:
            alert(0, line, level, ns)

    # lgpio's functions

    def claim_output(self, handle: int, line: int, level: int = 0, flags: int = 0) -> int:
        self.outputs.add(line)
        self.levels[line] = level
        return 0

    def claim_input(self, handle: int, line: int, flags: int = 0) -> int:
        self.outputs.discard(line)
        self.pwm.pop(line, None)
        self.levels.setdefault(line, 0)
        return 0

    def claim_alert(self, handle: int, line: int, edges: int, flags: int = 0, notify: int = 0) -> int:
        return self.claim_input(handle, line, flags)

    def write(self, handle: int, line: int, level: int) -> int:
        if line not in self.outputs:
            raise Error("GPIO not set as an output")
        self.levels[line] = int(level)
        self.when_written(line, int(level))
        return 0

    def tx_pwm(self, handle: int, line: int, hz: float, percent: float) -> int:
        if line not in self.outputs:
            raise Error("GPIO not set as an output")
        if not (0 <= hz <= 10_000 and 0 <= percent <= 100):
            raise Error("bad PWM micros")
        self.pwm[line] = (float(hz), float(percent))
        if not hz:  # it ends with its pulse, low
            del self.pwm[line]
            self.levels[line] = 0
        return 0

    def callback(self, handle: int, line: int, edge: int, act: Callable[..., None]) -> Any:
        self.alerts[line] = act

        class Callback:
            @staticmethod
            def cancel() -> None:
                self.alerts.pop(line, None)

        return Callback


def install(patch: pytest.MonkeyPatch) -> Lines:
    """Let `import lgpio` find this, and gpiozero take the machine for a Pi 4 while `patch` lasts."""
    lines = Lines()
    lgpio = ModuleType("lgpio")
    vars(lgpio).update(
        dict.fromkeys(KEPT, 0),
        RISING_EDGE=1,
        FALLING_EDGE=2,
        BOTH_EDGES=3,
        SET_PULL_UP=32,
        SET_PULL_DOWN=64,
        error=Error,
        gpiochip_open=lambda chip: 7,
        gpiochip_close=lambda handle: 0,
        gpio_claim_output=lines.claim_output,
        gpio_claim_input=lines.claim_input,
        gpio_claim_alert=lines.claim_alert,
        gpio_free=lambda handle, line: 0,
        gpio_get_mode=lambda handle, line: IS_OUT if line in lines.outputs else 0,
        gpio_read=lambda handle, line: lines.levels[line],
        gpio_write=lines.write,
        gpio_set_debounce_micros=lambda handle, line, micros: 0,
        tx_pwm=lines.tx_pwm,
        callback=lines.callback,
    )
    patch.setitem(sys.modules, "lgpio", lgpio)
    for name in ("gpiozero.pins.lgpio", "pi_agent.lgpio_pins"):
        patch.delitem(sys.modules, name, raising=False)
    import gpiozero.pins.local

    patch.setattr(gpiozero.pins.local, "get_pi_revision", lambda: 0xC03111)
    return lines

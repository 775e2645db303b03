"""Plays alarms through SDL, in a thread of its own: a sound system may take its time, the window may not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from desktop_app.sdl_pads import missing, sdl2, sdl_error
from desktop_app.sounds import RATE_HZ, Alarm, samples

_log = logging.getLogger(__name__)

LEFT_OVER_S: Final = 0.25  # the last samples are still on their way when the queue is empty


class Speaker:
    """`play` from any thread; the newest alarm cuts off the one before.

    The device is open only while something sounds: so it is always the one
    that the person has chosen by now.  `on_trouble` is called once, in the
    speaker's thread, with words for the person.
    """

    def __init__(self, on_trouble: Callable[[str], None]) -> None:
        self._on_trouble = on_trouble
        self._is_told = False
        self._changed = threading.Condition()
        self._next: Alarm | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def play(self, alarm: Alarm) -> None:
        """Now; returns at once."""
        with self._changed:
            self._next = alarm
            self._changed.notify_all()
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="pynet speaker", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Silence; idempotent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while alarm := self._take():
            if missing:
                self._complain(missing)
            elif sdl2.SDL_InitSubSystem(sdl2.SDL_INIT_AUDIO) != 0:
                self._complain(sdl_error())
            else:
                self._sound(alarm)
                sdl2.SDL_QuitSubSystem(sdl2.SDL_INIT_AUDIO)

    def _take(self) -> Alarm | None:
        """The next one; None when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._next is not None or self._is_closed)
            alarm, self._next = self._next, None
            return None if self._is_closed else alarm

    def _sound(self, alarm: Alarm) -> None:
        wanted = sdl2.SDL_AudioSpec(RATE_HZ, sdl2.AUDIO_S16SYS, 1, 1024)
        device = sdl2.SDL_OpenAudioDevice(None, 0, wanted, None, 0)
        if not device:
            self._complain(sdl_error())
            return
        sound = samples(alarm)
        sdl2.SDL_QueueAudio(device, sound, len(sound))
        sdl2.SDL_PauseAudioDevice(device, 0)
        with self._changed:
            self._changed.wait_for(
                lambda: self._next is not None or self._is_closed, alarm.duration_s + LEFT_OVER_S
            )
        sdl2.SDL_CloseAudioDevice(device)

    def _complain(self, why: str) -> None:
        _log.warning("no sound: %s", why)
        if not self._is_told:
            self._is_told = True
            self._on_trouble(f"Sounds cannot be played here: {why}.")

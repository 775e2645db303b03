"""What may be heard: when, what, and through SDL's own sound system, written into a file."""

from __future__ import annotations

import itertools
import time
from array import array
from dataclasses import replace
from pathlib import Path

import pytest

from desktop_app.sounds import RATE_HZ, Alarm, alarm_of, samples
from desktop_app.speaker import Speaker
from desktop_app.view import View
from tests.desktop import look_views as views

SOON_S = 10.0


@pytest.mark.parametrize(
    "before, after, alarm",
    [
        (views.ARMED, views.E_STOP, Alarm.E_STOP),
        (views.ARMED, views.FAILSAFE, Alarm.FAILSAFE),
        (views.ARMED, views.SILENT, Alarm.FAILSAFE),  # assumed
        (views.SILENT, views.LOST, Alarm.LINK_LOST),
        (views.DISARMED, views.LOST, Alarm.LINK_LOST),
        (views.E_STOP, views.E_STOP, None),
        (views.FAILSAFE, views.ARMED, None),
        (views.ARMED, views.DISARMED, None),
        (views.NONE, views.E_STOP, None),  # so it was before we came
        (views.ARMED, replace(views.E_STOP, address="10.0.0.9"), None),
    ],
)
def test_what_has_just_happened_is_heard_once(before: View, after: View, alarm: Alarm | None) -> None:
    assert alarm_of(before, after) is alarm
    assert alarm_of(after, after) is None


@pytest.mark.parametrize("alarm", Alarm)
def test_a_sound_is_short_never_too_loud_and_does_not_click(alarm: Alarm) -> None:
    sound = array("h", samples(alarm))
    assert len(sound) / RATE_HZ == pytest.approx(alarm.duration_s, abs=0.001)
    assert alarm.duration_s < 0.7
    assert 8000 < max(map(abs, sound)) < 16000
    jumps = [abs(a - b) for a, b in itertools.pairwise(sound)]
    assert max(jumps) < 4000
    assert sound[0] == 0 and abs(sound[-1]) < 500


def test_each_has_a_rhythm_of_its_own() -> None:
    assert len({tuple(seconds for _, seconds in alarm.value) for alarm in Alarm}) == len(Alarm)


def test_it_comes_out_of_the_loudspeaker_and_the_newest_cuts_off_the_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "sound.raw"
    monkeypatch.setenv("SDL_AUDIODRIVER", "disk")
    monkeypatch.setenv("SDL_DISKAUDIOFILE", str(out))
    told: list[str] = []
    speaker = Speaker(told.append)
    try:
        begun_s = time.monotonic()
        for _ in range(10):
            speaker.play(Alarm.LINK_LOST)
        assert time.monotonic() - begun_s < 5 * Alarm.LINK_LOST.duration_s, "it waited for its end"
        wanted = samples(Alarm.LINK_LOST)[:4000]
        while wanted not in (out.read_bytes() if out.exists() else b""):
            assert time.monotonic() - begun_s < SOON_S, told
            time.sleep(0.02)
        speaker.play(Alarm.E_STOP)
        wanted = samples(Alarm.E_STOP)[:4000]
        while wanted not in out.read_bytes():
            assert time.monotonic() - begun_s < SOON_S, told
            time.sleep(0.02)
    finally:
        speaker.close()
    assert told == []


def test_without_a_sound_system_it_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_AUDIODRIVER", "none such")
    told: list[str] = []
    speaker = Speaker(told.append)
    end_s = time.monotonic() + SOON_S
    for _ in range(3):
        speaker.play(Alarm.FAILSAFE)
        while not told and time.monotonic() < end_s:
            time.sleep(0.01)
    speaker.close()
    assert len(told) == 1
    assert told[0].startswith("Sounds cannot be played here: ")

"""Gamepads, through SDL's own virtual joystick."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from desktop_app.gamepad import Gamepads, Pad, PadButton
from desktop_app.pad_mapping import Role, sdl_line
from desktop_app.settings import PadMapping
from tests.desktop.virtual_pad import VirtualPad, VirtualStick

MS = 1_000_000


class Bench:
    """Gamepads with a clock."""

    def __init__(self, mappings: dict[str, PadMapping] | None = None) -> None:
        self.gamepads = Gamepads(mappings)
        self.now_ns = 0

    def poll(self, after_ms: int = 20) -> Pad | None:
        self.now_ns += after_ms * MS
        return self.gamepads.poll(self.now_ns)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    assert bench.gamepads.trouble == ""
    bench.poll()
    yield bench
    bench.gamepads.close()


@pytest.fixture
def pad(bench: Bench) -> Iterator[VirtualPad]:
    pad = VirtualPad()
    yield pad
    pad.unplug()


def read(bench: Bench) -> Pad:
    bench.poll()
    pad = bench.poll()
    assert pad is not None
    return pad


def guid_of(bench: Bench) -> str:
    read(bench)
    return bench.gamepads.inputs()[0].guid


def test_without_a_pad_there_is_none(bench: Bench) -> None:
    assert bench.poll() is None
    assert bench.gamepads.names == ()


def test_a_pad_that_is_plugged_in_is_neutral(bench: Bench, pad: VirtualPad) -> None:
    seen = read(bench)
    assert (seen.forward, seen.back, seen.steering, seen.is_held) == (0.0, 0.0, 0.0, False)


def test_stick_and_triggers_reach_full(bench: Bench, pad: VirtualPad) -> None:
    pad.axis("leftx", -1.0)
    pad.trigger("righttrigger", 1.0)
    pad.button("leftshoulder", True)
    seen = read(bench)
    assert seen.steering == 1.0  # + is left
    assert seen.forward == pytest.approx(1.0, abs=0.01)
    assert seen.is_held


def test_a_worn_stick_inside_the_dead_zone_is_neutral(bench: Bench, pad: VirtualPad) -> None:
    pad.axis("leftx", 0.09)
    assert read(bench).steering == 0.0


def test_each_press_comes_once(bench: Bench, pad: VirtualPad) -> None:
    read(bench)
    pad.button("start", True)
    bench.poll()
    assert bench.gamepads.take_pressed() == [PadButton.ARM]
    bench.poll()
    assert bench.gamepads.take_pressed() == []
    pad.button("b", True)
    bench.poll()
    assert bench.gamepads.take_pressed() == [PadButton.E_STOP]


def test_a_press_that_waited_while_the_window_was_stuck_stops_but_does_not_arm(
    bench: Bench, pad: VirtualPad
) -> None:
    read(bench)
    pad.button("start", True)
    pad.button("b", True)
    bench.poll(after_ms=500)
    assert bench.gamepads.take_pressed() == [PadButton.E_STOP]


def test_unplugging_is_seen_in_the_next_poll_and_another_pad_takes_over_after_it(
    bench: Bench, pad: VirtualPad
) -> None:
    read(bench)
    other = VirtualPad()
    read(bench)
    assert len(bench.gamepads.names) == 2
    pad.unplug()
    assert bench.poll() is None
    assert bench.poll() is not None
    other.unplug()
    assert bench.poll() is None
    assert bench.poll() is None


def test_a_pad_comes_back(bench: Bench, pad: VirtualPad) -> None:
    read(bench)
    pad.unplug()
    bench.poll()
    again = VirtualPad()
    assert read(bench).forward == 0.0
    again.unplug()


def test_a_mapping_of_the_persons_own_holds_for_their_pad(bench: Bench, pad: VirtualPad) -> None:
    read(bench)
    guid = guid_of(bench)
    mapping = PadMapping(steer="rightx", is_steering_turned=True, e_stop="x", dead_zone=0.0, curve=1.0)
    bench.gamepads.set_mapping(guid, mapping)
    pad.axis("rightx", 0.5)
    assert read(bench).steering == pytest.approx(0.5, abs=0.01)
    pad.button("x", True)
    bench.poll()
    assert bench.gamepads.take_pressed() == [PadButton.E_STOP]


def test_a_mapping_that_makes_no_sense_is_the_usual_one(bench: Bench, pad: VirtualPad) -> None:
    read(bench)
    guid = guid_of(bench)
    bench.gamepads.set_mapping(guid, PadMapping(steer="nonsense", e_stop="", arm="b"))
    pad.axis("leftx", 1.0)
    assert read(bench).steering == -1.0
    pad.button("b", True)
    bench.poll()
    assert bench.gamepads.take_pressed() == [PadButton.E_STOP]  # nothing takes its button away


def test_half_a_stick_drives(bench: Bench, pad: VirtualPad) -> None:
    guid = guid_of(bench)
    bench.gamepads.set_mapping(guid, PadMapping(forward="-righty", back="righty"))
    pad.axis("righty", -1.0)
    seen = read(bench)
    assert (seen.forward, seen.back) == (1.0, 0.0)


def test_what_stands_where_is_told_by_sdls_names(bench: Bench, pad: VirtualPad) -> None:
    pad.axis("leftx", -0.5)
    pad.button("y", True)
    read(bench)
    [inputs] = bench.gamepads.inputs()
    assert dict(inputs.axes)["leftx"] == pytest.approx(-0.5, abs=0.01)
    assert [name for name, is_down in inputs.buttons if is_down] == ["y"]


@pytest.fixture
def stick(bench: Bench) -> Iterator[VirtualStick]:
    stick = VirtualStick()
    yield stick
    stick.unplug()


def test_a_joystick_without_a_mapping_is_told_once_and_does_not_drive(
    bench: Bench, stick: VirtualStick
) -> None:
    assert bench.poll() is None
    [words] = bench.gamepads.take_news()
    assert words.endswith("has no mapping.")
    stick.unplug()
    bench.poll()
    again = VirtualStick()
    assert bench.poll() is None
    assert bench.gamepads.take_news() == []
    again.unplug()


def test_a_mapping_makes_a_gamepad_of_it_now_and_in_the_next_run(bench: Bench, stick: VirtualStick) -> None:
    bench.poll()
    [now] = bench.gamepads.inputs()
    assert now.mapping is None
    assert [name for name, _ in now.axes] == ["a0", "a1", "a2", "a3"]
    inputs = dict(zip(Role, ("a0", "-a1", "+a1", "b0", "h0.1", "b2"), strict=True))
    mapping = PadMapping(sdl=sdl_line(now, inputs))
    bench.gamepads.set_mapping(now.guid, mapping)
    stick.axis(0, -1.0)
    stick.axis(1, -1.0)
    stick.button(0, True)
    seen = read(bench)
    assert (seen.steering, seen.back, seen.is_held) == (1.0, 0.0, True)
    assert seen.forward == pytest.approx(1.0, abs=0.01)
    stick.hat(1)
    bench.poll()
    assert bench.gamepads.take_pressed() == [PadButton.E_STOP]
    bench.gamepads.close()
    later = Bench({now.guid: mapping})
    again = VirtualStick()
    assert read(later).name
    assert later.gamepads.take_news() == []
    again.unplug()
    later.gamepads.close()


def test_a_joystick_that_was_mapped_wrongly_can_be_mapped_anew(bench: Bench, stick: VirtualStick) -> None:
    bench.poll()
    [now] = bench.gamepads.inputs()
    wrong = dict(zip(Role, ("a0", "-a1", "+a1", "b0", "b1", "b2"), strict=True))
    bench.gamepads.set_mapping(now.guid, PadMapping(sdl=sdl_line(now, wrong)))
    read(bench)
    bench.gamepads.set_mapping(now.guid, PadMapping())
    assert bench.poll() is None
    assert [pad.mapping for pad in bench.gamepads.inputs()] == [None]
    stick.unplug()
    bench.poll()
    again = VirtualStick()
    assert bench.poll() is None, "SDL still knows the line, we do not"
    right = {**wrong, Role.HOLD: "b4"}
    bench.gamepads.set_mapping(now.guid, PadMapping(sdl=sdl_line(now, right)))
    again.button(4, True)
    assert read(bench).is_held
    again.unplug()


def test_a_line_that_sdl_does_not_take_is_refused_in_words(bench: Bench) -> None:
    with pytest.raises(ValueError, match="SDL does not take this mapping"):
        bench.gamepads.set_mapping("05", PadMapping(sdl="nonsense"))


def test_a_pad_without_the_e_stops_button_is_told(bench: Bench, stick: VirtualStick) -> None:
    bench.poll()
    bench.gamepads.take_news()
    [now] = bench.gamepads.inputs()
    bench.gamepads._told.clear()
    bench.gamepads.set_mapping(now.guid, PadMapping(sdl=f"{now.guid},stick,leftx:a0,leftshoulder:b0,"))
    assert [words.partition(" has ")[2] for words in bench.gamepads.take_news()] == [
        "no button for the E-STOP."
    ]


def test_without_sdl_there_is_no_gamepad_and_it_is_said() -> None:
    script = textwrap.dedent("""
        import sys
        sys.modules["sdl2"] = None
        from desktop_app.gamepad import Gamepads
        gamepads = Gamepads()
        assert gamepads.poll(1) is None and gamepads.take_pressed() == []
        gamepads.close()
        print(gamepads.trouble)
    """)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("No gamepads: ")

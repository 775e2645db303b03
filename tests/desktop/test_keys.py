"""Which key does what: none does two things, the E-STOP's are nobody else's, what was stored comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt5.QtCore import Qt

from desktop_app.keys import ACTS, USUAL_KEYS, Act, Deed, KeyMap, chord_named, chord_of, name_of
from desktop_app.teleop import Direction

CTRL = int(Qt.ControlModifier)
KEYS = st.one_of(st.integers(0x20, 0x7F), st.integers(0x0100_0000, 0x0100_0070), st.integers(0, 2**25 - 1))
CHORDS = st.builds(lambda key, holds: key | (CTRL if holds else 0), KEYS, st.booleans())


def deed(keys: KeyMap, key: int, held: Any = Qt.NoModifier, *, is_typing: bool = False) -> Deed | None:
    return keys.deed(key, Qt.KeyboardModifiers(held), is_typing=is_typing)


def test_the_usual_keys_are_the_looks() -> None:
    caps = {act: USUAL_KEYS.caps(act) for act in ACTS}
    assert caps[Direction.FORWARD] == ("W", "Up")
    assert caps[Deed.ARM] == ("Enter",)
    assert caps[Deed.DISARM_OR_CLOSE] == ("Esc",)
    assert caps[Deed.LIMIT_DOWN] == ("[",)
    assert caps[Deed.ROBOTS] == ("Ctrl+K",)
    assert caps[Deed.SETTINGS] == ("Ctrl+,",)
    assert USUAL_KEYS.caps(Deed.E_STOP) == ("Space", "F12")


def test_another_key_does_it_and_the_old_one_no_longer() -> None:
    keys = USUAL_KEYS.with_key(Deed.TAKE, 0, Qt.Key_Y).with_key(Direction.FORWARD, 0, Qt.Key_Z)
    assert deed(keys, Qt.Key_Y) is Deed.TAKE
    assert deed(keys, Qt.Key_T) is None
    assert keys.direction(Qt.Key_Z) is keys.direction(Qt.Key_Up) is Direction.FORWARD
    assert keys.direction(Qt.Key_W) is None
    assert USUAL_KEYS.direction(Qt.Key_W) is Direction.FORWARD


@pytest.mark.parametrize(
    "act, chord, why",
    [
        (Deed.TAKE, Qt.Key_G, "G is taken: Give the lease back. Give that another key first."),
        (Deed.TAKE, Qt.Key_Up, "Up is taken: Forward. Give that another key first."),
        (Deed.TAKE, Qt.Key_Space, "Space is the E-STOP, always."),
        (Direction.LEFT, CTRL | Qt.Key_F12, "F12 is the E-STOP, always."),
        (Deed.TAKE, Qt.Key_Tab, "Tab moves from one control to the next."),
        (Deed.TAKE, Qt.Key_MediaPlay, "This key has no name here. Press another."),
        (Direction.LEFT, CTRL | Qt.Key_Q, "Driving takes a key alone, without Ctrl."),
        (Deed.TAKE, CTRL | Qt.Key_V, "Ctrl+V edits text. Press another."),
        (
            Deed.TAKE,
            Qt.Key_Escape,
            "Esc is taken: Disarm; when disarmed, close. Give that another key first.",
        ),
    ],
)
def test_what_no_key_may_be_is_refused_in_words(act: Act, chord: int, why: str) -> None:
    with pytest.raises(ValueError) as refused:
        USUAL_KEYS.with_key(act, 0, chord)
    assert str(refused.value) == why


def test_a_key_may_be_given_to_what_has_it() -> None:
    assert USUAL_KEYS.with_key(Deed.TAKE, 0, Qt.Key_T).is_usual
    with pytest.raises(ValueError, match="W is taken: Forward"):
        USUAL_KEYS.with_key(Direction.FORWARD, 1, Qt.Key_W)


def test_esc_can_come_back_to_disarm_but_to_nothing_else() -> None:
    keys = USUAL_KEYS.with_key(Deed.DISARM_OR_CLOSE, 0, Qt.Key_Q)
    with pytest.raises(ValueError, match="Esc closes sheets and disarms"):
        keys.with_key(Deed.TAKE, 0, Qt.Key_Escape)
    assert keys.with_key(Deed.DISARM_OR_CLOSE, 0, Qt.Key_Escape).is_usual
    assert deed(keys, Qt.Key_Q) is Deed.DISARM_OR_CLOSE
    assert deed(keys, Qt.Key_Escape, is_typing=True) is Deed.DISARM_OR_CLOSE, "Q is a letter there"


@given(st.lists(st.tuples(st.sampled_from(ACTS), CHORDS), max_size=12))
def test_whatever_is_asked_no_key_does_two_things_and_the_e_stop_stays(asked: list[tuple[Act, int]]) -> None:
    keys = USUAL_KEYS
    for act, chord in asked:
        try:
            keys = keys.with_key(act, 0, chord)
        except ValueError as exc:
            assert str(exc).endswith(".")
    caps = [cap for act in ACTS for cap in keys.caps(act)]
    assert len(set(caps)) == len(caps) and all(caps)
    assert deed(keys, Qt.Key_Space) is deed(keys, Qt.Key_F12, is_typing=True) is Deed.E_STOP
    assert deed(keys, Qt.Key_Space, is_typing=True) is None
    again, trouble = KeyMap.from_stored(keys.stored())
    assert trouble == ""
    assert {act: again.caps(act) for act in ACTS} == {act: keys.caps(act) for act in ACTS}


@given(CHORDS)
def test_a_name_is_one_key_and_one_key_one_name(chord: int) -> None:
    name = name_of(chord)
    if name:
        assert chord_named(name) == chord


@pytest.mark.parametrize(
    "stored, why",
    [
        ({"take": ("G",)}, "Take the lease: G is taken"),
        ({"take": ("Space",)}, "Take the lease: Space is the E-STOP"),
        ({"take": ()}, "Take the lease: 0 keys."),
        ({"forward": ("W",)}, "Forward: 1 keys."),
        ({"take": ("Ctrl+Nonsense",)}, "Take the lease: This key has no name"),
    ],
)
def test_wrong_keys_in_the_settings_are_told_and_the_usual_ones_hold(
    stored: dict[str, tuple[str, ...]], why: str
) -> None:
    keys, trouble = KeyMap.from_stored(stored)
    assert keys.is_usual
    assert trouble.startswith("The usual keys hold. ") and why in trouble


def test_two_acts_may_change_places_in_the_settings_and_another_versions_are_left_alone() -> None:
    keys, trouble = KeyMap.from_stored({"take": ("G",), "give": ("T",), "fly": ("F",)})
    assert trouble == ""
    assert (keys.cap(Deed.TAKE), keys.cap(Deed.GIVE)) == ("G", "T")


def test_enter_is_enter_on_both_sides_of_the_keyboard() -> None:
    assert deed(USUAL_KEYS, Qt.Key_Enter, Qt.KeypadModifier) is deed(USUAL_KEYS, Qt.Key_Return) is Deed.ARM


def test_shift_is_not_looked_at_and_alt_is_the_systems() -> None:
    assert deed(USUAL_KEYS, Qt.Key_BracketLeft, Qt.ShiftModifier) is Deed.LIMIT_DOWN
    assert deed(USUAL_KEYS, Qt.Key_T, Qt.AltModifier) is None
    assert chord_of(Qt.Key_T, Qt.KeyboardModifiers(Qt.MetaModifier)) is None


def test_a_letter_is_a_letter_while_typing_whatever_it_was_given_to() -> None:
    keys = USUAL_KEYS.with_key(Deed.HELP, 0, Qt.Key_H).with_key(Deed.LOG, 0, Qt.Key_Delete)
    assert deed(keys, Qt.Key_H) is Deed.HELP
    assert deed(keys, Qt.Key_H, is_typing=True) is deed(keys, Qt.Key_Delete, is_typing=True) is None
    assert deed(keys, Qt.Key_F2, is_typing=True) is Deed.CHARTS

"""A settings file is taken whole or refused with one message a person can act on."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pi_agent
from pi_agent.config import (
    AgentConfig,
    board_model,
    effective_drive,
    is_simulated,
    load_config,
    parse_config,
)
from pi_agent.drive_config import DriveConfig
from pynet_core.errors import ConfigError

SHIPPED = Path(pi_agent.__file__).parent / "agent.toml"
MOTORS_PAGE = Path(pi_agent.__file__).parents[1] / "docs/howto/motors.md"
L293D = Path(pi_agent.__file__).parents[1] / "examples/l293d/agent.toml"


def test_no_file_gives_the_defaults() -> None:
    assert load_config(None) == AgentConfig()


def test_the_shipped_file_is_the_defaults_and_names_every_setting() -> None:
    assert load_config(SHIPPED) == AgentConfig()
    written = tomllib.loads(SHIPPED.read_text())
    default = AgentConfig()
    for section in ("gateway", "proximity", "encoder", "camera"):
        assert set(written[section]) == set(getattr(default, section).__slots__)
    # Of a differential car, and of other drivers: in comments.
    assert set(written["drive"]) | {"left", "right"} == set(default.drive.__slots__)
    for section in ("motor", "steering", "pca9685"):
        whole = getattr(default.drive, section)
        assert set(written["drive"][section]) == {k for k in whole.__slots__ if getattr(whole, k) is not None}
    assert set(written) | {"sensors"} == set(AgentConfig.__slots__)


def test_what_is_written_wins_over_the_default() -> None:
    config = parse_config('name = "red"\n[drive]\nlifespan_ms = 150\nmax_throttle = 1\n', "car.toml")
    assert (config.name, config.drive.lifespan_ms, config.drive.max_throttle) == ("red", 150, 1.0)
    assert config.drive.motor == AgentConfig().drive.motor


def test_heads_replace_the_default_heads() -> None:
    text = '[[proximity.heads]]\nname = "rear"\ntrigger_pin = 4\necho_pin = 27\nbearing_deg = 180\n'
    (head,) = parse_config(text, "car.toml").proximity.heads
    assert (head.name, head.bearing_deg) == ("rear", 180.0)
    assert parse_config("[proximity]\nheads = []\n", "car.toml").proximity.heads == ()


def test_a_plugins_section_is_passed_through_as_it_is() -> None:
    config = parse_config('[sensors.battery]\naddress = 0x48\ncells = [3.7, "x"]\n', "car.toml")
    assert config.sensors == {"battery": {"address": 0x48, "cells": [3.7, "x"]}}


def test_only_a_raspberry_pi_is_taken_for_one() -> None:
    assert is_simulated(AgentConfig(board="simulated"))
    assert not is_simulated(AgentConfig(board="pi"))
    assert is_simulated(AgentConfig(board="auto")) == (board_model() == "")


HEAD = '[[proximity.heads]]\nname = "a"\ntrigger_pin = 1\necho_pin = 2\nbearing_deg = 0\n'


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (
            "\n[drive]\nlifespan_ms = 50",
            "3: drive.lifespan_ms",
            "found 50, allowed is a whole number from 100 to 1000",
        ),
        (
            "[drive]\nlifespan_ms = 1001",
            "2: drive.lifespan_ms",
            "found 1001, allowed is a whole number from 100",
        ),
        ("[drive]\nlifespan_ms = 2e2", "2: drive.lifespan_ms", "found 200.0, allowed is a whole number"),
        ("drive.lifespan_ms = true", "1: drive.lifespan_ms", "found True, allowed is a whole number"),
        (
            "[drive]\nmax_throttle = nan",
            "2: drive.max_throttle",
            "found nan, allowed is a number above 0.0, up to 1.0",
        ),
        (
            "[drive]\ntop_speed_mps = 51",
            "2: drive.top_speed_mps",
            "found 51, allowed is a number from 0.0 to 50.0",
        ),
        ('[gateway]\ntls = "never"', "2: gateway.tls", "found 'never', allowed is one of 'auto', 'always'"),
        ("[drive]\nmax_throttle = 0", "2: drive.max_throttle", "found 0, allowed is a number above 0.0"),
        ("[drive]\nlifespam_ms = 1", "2: drive.lifespam_ms", "no such setting; did you mean 'lifespan_ms'?"),
        ("a = 1\n[gatway]\nport = 1", "1: a", "no such setting; known here: name, board"),
        ("[gatway]\nport = 1", "1: gatway", "no such setting; did you mean 'gateway'?"),
        ("gateway = 7", "1: gateway", "found 7, allowed is a table"),
        ('board = "arduino"', "1: board", "found 'arduino', allowed is one of 'auto', 'simulated', 'pi'"),
        ('name = ""', "1: name", "found '', allowed is a text of 1 to 64 characters in quotes"),
        (
            "[drive.motor]\nforward_pin = 28",
            "2: drive.motor.forward_pin",
            "found 28, allowed is a BCM pin number from 0 to 27",
        ),
        (
            "[encoder]\nleft_pins = [2]",
            "2: encoder.left_pins",
            "found [2], allowed is 2 values in brackets, each a BCM",
        ),
        (
            "[encoder]\nleft_pins = [2, 12]",
            "2: encoder.left_pins",
            "found 12, allowed is any that drive.motor.forward_pin",
        ),
        (
            "[drive.motor]\nforward_pin = 13\nbackward_pin = 13",
            "3: drive.motor.backward_pin",
            "found 13, allowed is any that drive.motor.forward_pin",
        ),
        (
            "[drive.motor]\nforward_pin = 26\nbackward_pin = 13",
            "2: drive.motor.forward_pin",
            "found 26, allowed is any that encoder.right_pins",
        ),
        (HEAD + HEAD, "7: proximity.heads[1].name", "found 'a', allowed is any that proximity.heads[0].name"),
        (
            HEAD + HEAD.replace('"a"', '"b"'),
            "8: proximity.heads[1].trigger_pin",
            "found 1, allowed is any that",
        ),
        (
            HEAD + '[[proximity.heads]]\nname = "b"',
            "6: proximity.heads[1]",
            "'trigger_pin' is missing: a BCM pin",
        ),
        (HEAD + "color = 1", "6: proximity.heads[0].color", "no such setting; known here: name, trigger_pin"),
        ("proximity.heads = 3", "1: proximity.heads", "found 3, allowed is at most 16 tables"),
        ("sensors = 3", "1: sensors", "found 3, allowed is tables"),
        (
            "[sensors]\nbattery = 3",
            "2: sensors.battery",
            "found 3, allowed is a table headed [sensors.battery]",
        ),
        ("\n[drive", "2: not TOML", ""),
        ("name = 'a'\na = [", "2: not TOML", ""),
        ("a = " + "[" * 5000, " not TOML", ""),
        ("a = " + "1" * 5000, " not TOML", ""),
    ],
)
def test_a_wrong_setting_is_one_error_with_place_finding_and_rule(
    text: str, place: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "car.toml")
    assert str(caught.value).startswith(f"car.toml:{place}: {problem}")
    assert "\n" not in str(caught.value)


MOTOR = "[drive.motor]\n"
SIDES = '[drive]\nkind = "differential"\n'


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (
            MOTOR + "forward_pin = 5",
            "1: drive.motor",
            "'backward_pin' is missing: driver \"in_in\" takes forward",
        ),
        (
            MOTOR + 'driver = "phase_enable"\nphase_pin = 2\nenable_pin = 3\nbackward_pin = 7',
            "5: drive.motor.backward_pin",
            'driver "phase_enable" has none; it takes phase_pin, enable_pin',
        ),
        (
            MOTOR + 'forward_pin = "pwm:4"\nbackward_pin = 5',
            "2: drive.motor.forward_pin",
            "found 'pwm:4', allowed",
        ),
        (
            MOTOR + 'forward_pin = "pca9685:16"\nbackward_pin = 5',
            "2: drive.motor.forward_pin",
            'found \'pca9685:16\', allowed is a BCM pin number from 0 to 27, or "pwm:0" to "pwm:3"',
        ),
        (
            MOTOR + 'forward_pin = "pwm:0"\nbackward_pin = "pwm:0"',
            "3: drive.motor.backward_pin",
            "found 'pwm:0', allowed is any that drive.motor.forward_pin",
        ),
        (MOTOR + 'driver = "esc"\npulse_pin = 5', "3: drive.motor.pulse_pin", 'found 5, allowed is "pwm:0"'),
        (
            MOTOR + 'driver = "esc"\npulse_pin = "pwm:0"\nneutral_ms = 2.1',
            "4: drive.motor.neutral_ms",
            "found 2.1, allowed is a number between the other two, 1.0 and 2.0",
        ),
        (MOTOR + "reversed = 1", "2: drive.motor.reversed", "found 1, allowed is true or false"),
        (
            "[drive.steering]\npin = 7\ncentre_ms = 0.9",
            "3: drive.steering.centre_ms",
            "found 0.9, allowed is a number between",
        ),
        (
            "[drive.steering]\nleft_ms = 1.9",
            "1: drive.steering",
            "'pin' is missing: a BCM pin number from 0 to 27",
        ),
        (
            '[drive.steering]\npin = "pca9685:0"\n[drive.pca9685]\nhz = 451',
            "4: drive.pca9685.hz",
            "found 451, allowed is at most 450 where pulses of 2.0 ms are to fit",
        ),
        (
            MOTOR + "forward_pin = 2\nbackward_pin = 3\npwm_hz = 20000",
            "4: drive.motor.pwm_hz",
            "found 20000, allowed is at most 10000 on a plain pin; kernel PWM does more",
        ),
        (SIDES, "1: drive.left", "'forward_pin' is missing"),
        (
            SIDES + "[drive.left]\nforward_pin = 9\nbackward_pin = 10\n[drive.steering]\npin = 7",
            "6: drive.steering",
            'a car of kind "differential" has no [drive.steering]; in [drive] write kind = "ackermann"',
        ),
        (
            "[drive.left]\nforward_pin = 9\nbackward_pin = 10",
            "1: drive.left",
            'a car of kind "ackermann" has no [drive.left]; in [drive] write kind = "differential"',
        ),
    ],
)
def test_a_wiring_that_cannot_be_is_one_error_that_says_what_can(text: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "car.toml")
    assert str(caught.value).startswith(f"car.toml:{place}: {problem}")


def test_the_simulated_car_keeps_the_limits_and_its_own_wiring() -> None:
    config = load_config(L293D)
    drive = effective_drive(dataclasses.replace(config, board="simulated"))
    assert (drive.kind, drive.motor, drive.max_throttle) == ("ackermann", AgentConfig().drive.motor, 0.6)
    assert effective_drive(dataclasses.replace(config, board="pi")) == config.drive


@pytest.mark.parametrize("block", re.findall("```toml\n(.*?)```", MOTORS_PAGE.read_text(), re.DOTALL))
def test_every_wiring_on_the_page_about_motors_is_one_that_can_be(block: str) -> None:
    assert parse_config(block, "page").drive != DriveConfig() or "pin = 19" in block


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b'name = "\xc3"'])
def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "agent.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(path)


KEYS = ["gateway", "drive", "proximity", "encoder", "sensors", "heads", "name", "left_pins", "port", "x"]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(12)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


def toml(value: Any) -> str:
    """Enough of a writer for what `documents` makes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
    return "2020-01-01" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


@given(st.dictionaries(st.sampled_from(KEYS), documents, max_size=5))
def test_any_toml_gives_settings_or_one_error(document: dict[str, Any]) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in document.items())
    try:
        assert isinstance(parse_config(text, "f"), AgentConfig)
    except ConfigError as exc:
        assert str(exc).startswith("f:")


@given(st.text())
def test_any_text_gives_settings_or_one_error(text: str) -> None:
    try:
        parse_config(text, "f")
    except ConfigError as exc:
        assert str(exc).startswith("f:")

"""A settings file is told all its errors at once, each with line, key, range and the nearest known name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import pi_agent
from pi_agent.__main__ import main
from pi_agent.cli import agent
from pi_agent.config import check_config, parse_config
from pi_agent.config_reader import Problem
from pi_agent.procs import EXIT_CONFIG
from pynet_core.errors import ConfigError

SHIPPED = Path(pi_agent.__file__).parent / "agent.toml"
MANY = """\
name = ""
[gateway]
prot = 1857
[drive]
lifespan_ms = 50
[drive.motor]
forward_pin = 99
backward_pin = 13
[[proximity.heads]]
name = "front"
trigger_pin = 13
echo_pin = "5"
"""


def told(text: str) -> list[tuple[int, str]]:
    return [(problem.line, problem.key) for problem in check_config(text, "car.toml")[1]]


def test_every_error_is_told_at_once_in_the_order_of_the_lines() -> None:
    assert told(MANY) == [
        (1, "name"),
        (3, "gateway.prot"),
        (5, "drive.lifespan_ms"),
        (7, "drive.motor.forward_pin"),
        (9, "proximity.heads[0]"),  # bearing_deg is missing
        (11, "proximity.heads[0].trigger_pin"),  # 13 is the motor's
        (12, "proximity.heads[0].echo_pin"),
    ]


def test_an_error_says_what_was_found_what_is_allowed_and_the_nearest_name() -> None:
    texts = {problem.key: problem.text for problem in check_config(MANY, "car.toml")[1]}
    assert texts["drive.lifespan_ms"] == "found 50, allowed is a whole number from 100 to 1000"
    assert texts["gateway.prot"].startswith("no such setting; did you mean 'port'?")


def test_a_wrong_pin_is_not_told_to_be_used_twice_too() -> None:
    assert told("[drive.motor]\nforward_pin = 99\nbackward_pin = 99\n") == [
        (2, "drive.motor.forward_pin"),
        (3, "drive.motor.backward_pin"),
    ]
    assert told("[encoder]\nleft_pins = 20\n") == [(2, "encoder.left_pins")]


def test_the_daemon_names_the_first_error_and_where_to_see_the_rest() -> None:
    with pytest.raises(ConfigError, match=r"car.toml:1: name: .* \(and 6 more: pynet-agent config check car"):
        parse_config(MANY, "car.toml")


def test_a_section_for_no_plugin_is_an_error_where_the_plugins_are_known() -> None:
    text = "[sensors.batery]\naddress = 1\n[sensors.gps]\n"
    _, problems = check_config(text, "f", plugins=["battery", "gps"])
    assert problems == [
        Problem(
            "f",
            1,
            "sensors.batery",
            "no such plugin installed; did you mean 'battery'? known here: battery, gps",
        )
    ]
    assert check_config(text, "f")[1] == []


def test_the_verb_prints_each_error_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("[drive]\nlifespan_ms = 50\nlifespam = 1\n")
    result = CliRunner().invoke(agent, ["config", "check", str(path)])
    assert result.exit_code == 1
    assert f"{path}:2: drive.lifespan_ms: found 50" in result.output
    assert f"{path}:3: drive.lifespam: no such setting; did you mean 'lifespan_ms'?" in result.output
    listed = json.loads(CliRunner().invoke(agent, ["config", "check", "--json", str(path)]).stdout)
    assert [problem["line"] for problem in listed] == [2, 3]


def test_the_verb_accepts_the_shipped_file() -> None:
    result = CliRunner().invoke(agent, ["config", "check", str(SHIPPED)])
    assert result.exit_code == 0
    assert "no problems" in result.output


def test_a_file_that_cannot_be_read_is_a_sentence_and_exit_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", str(tmp_path / "none.toml")]) == EXIT_CONFIG
    assert capsys.readouterr().err.startswith(f"agent: {tmp_path}/none.toml: cannot be read")


@pytest.mark.parametrize("words", [["dcotor"], ["config", "chekc"], ["pair", "--role", "king"]])
def test_a_mistyped_verb_is_told_and_no_daemon_starts(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert "Error: " in capsys.readouterr().err


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in ("config", "pair", "run"):
        assert verb in shown

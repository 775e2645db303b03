"""Which pins the settings use, and for what."""

from __future__ import annotations

from collections.abc import Iterator

from pi_agent.config import AgentConfig


def motor_pins(config: AgentConfig) -> Iterator[tuple[str, int]]:
    """(where it is written, BCM number) of every pin that can turn a motor."""
    yield "drive.forward_pin", config.drive.forward_pin
    yield "drive.backward_pin", config.drive.backward_pin


def servo_pin(config: AgentConfig) -> int | None:
    """Where the steering servo hangs, if it is a pin of the header."""
    return config.drive.steering_pin


def used_pins(config: AgentConfig) -> Iterator[tuple[str, int]]:
    """(where it is written, BCM number) of every pin."""
    yield from motor_pins(config)
    yield "drive.steering_pin", config.drive.steering_pin
    for number, head in enumerate(config.proximity.heads):
        yield f"proximity.heads[{number}].trigger_pin", head.trigger_pin
        yield f"proximity.heads[{number}].echo_pin", head.echo_pin
    for key in ("left_pins", "right_pins"):
        for pin in getattr(config.encoder, key):
            yield f"encoder.{key}", pin

"""Which pins the settings use, and for what.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pi_agent.config import AgentConfig
from pi_agent.drive_config import addresses


def is_pi_car(config: AgentConfig, model: str) -> bool:
    """Whether real pins are to be driven on a machine of this model ('' is no Pi)."""
    return config.board == "pi" or (config.board == "auto" and bool(model))


def motor_pins(config: AgentConfig) -> Iterator[tuple[str, int]]:
    """(where it is written, BCM number) of every pin that can turn a motor."""
    for path, address in addresses(config.drive):
        if isinstance(address, int) and path[1] != "steering":
            yield ".".join(path), address


def servo_pin(config: AgentConfig) -> int | None:
    """Where the steering servo hangs, if it is a pin of the header."""
    pin = config.drive.steering.pin
    return pin if config.drive.kind == "ackermann" and isinstance(pin, int) else None


def used_pins(config: AgentConfig) -> Iterator[tuple[str, int]]:
    """(where it is written, BCM number) of every pin."""
    for path, address in addresses(config.drive):
        if isinstance(address, int):
            yield ".".join(path), address
    for number, head in enumerate(config.proximity.heads):
        yield f"proximity.heads[{number}].trigger_pin", head.trigger_pin
        yield f"proximity.heads[{number}].echo_pin", head.echo_pin
    for key in ("left_pins", "right_pins") if config.encoder.enabled else ():
        for pin in getattr(config.encoder, key):
            yield f"encoder.{key}", pin

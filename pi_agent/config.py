"""agent.toml as frozen dataclasses: every setting, its unit, its range and its default."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    host: str = "127.0.0.1"
    port: int = 1857
    max_poolsize: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveConfig:
    """H-bridge motor and steering servo, BCM pin numbers, and the limits on both."""

    forward_pin: int = 12
    backward_pin: int = 13
    pwm_hz: int = 100
    steering_pin: int = 19
    steering_max_deg: float = 45.0  # servo angle at steering = 1
    max_throttle: float = 1.0  # (0, 1]
    throttle_slew_per_s: float = 4.0  # away from zero
    steering_slew_per_s: float = 12.0
    lifespan_ms: int = 200  # 100-1000, never off


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """One ultrasonic ranger."""

    name: str
    trigger_pin: int
    echo_pin: int
    bearing_deg: float  # 0 ahead, + left; |bearing| > 90 looks backward


@dataclass(frozen=True, slots=True, kw_only=True)
class ProximityConfig:
    heads: tuple[HeadConfig, ...] = (
        HeadConfig(name="front_left", trigger_pin=18, echo_pin=17, bearing_deg=50.0),
        HeadConfig(name="front_mid_left", trigger_pin=23, echo_pin=22, bearing_deg=15.0),
        HeadConfig(name="front_mid_right", trigger_pin=25, echo_pin=24, bearing_deg=-15.0),
        HeadConfig(name="front_right", trigger_pin=6, echo_pin=5, bearing_deg=-50.0),
    )
    max_range_m: float = 3.0
    period_s: float = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    left_pins: tuple[int, int] = (20, 21)
    right_pins: tuple[int, int] = (26, 16)
    ticks_per_m: float = 98.0  # one tick is a full quadrature cycle
    track_width_m: float = 0.18  # left to right wheel
    period_s: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfig:
    width_px: int = 640
    height_px: int = 480
    fps: float = 30.0
    quality: int = 75  # JPEG, 1-100


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    name: str = "pynet car"
    board: str = "auto"  # auto | simulated | pi
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    drive: DriveConfig = field(default_factory=DriveConfig)
    proximity: ProximityConfig = field(default_factory=ProximityConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)


def bearing_rad(head: HeadConfig) -> float:
    return math.radians(head.bearing_deg)

"""What a greenhouse and whoever looks after it say to each other: imported by both ends."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import pynet


@pynet.payload
@dataclass(frozen=True)
class Settings:
    target_c: float
    window: str = "auto"  # auto, open or shut


@pynet.payload
@dataclass(frozen=True)
class Climate:
    when: datetime.datetime
    air_c: float
    soil_c: list[float]
    settings: Settings

"""Some wrong frames at each target, and peers killed at some bytes; `./run prove frames` does many."""

from __future__ import annotations

import random

import pytest

from tests.core.hostile_frames import Attack, Ending
from tests.system import frames
from tests.system.frames import Harmed, Siege, cuts
from tests.system.frames_targets import TARGETS, gateway_target

pytestmark = [pytest.mark.system, pytest.mark.shared]


@pytest.mark.parametrize(("name", "count"), [("gateway", 400), ("tls", 150), ("robot", 150)])
def test_wrong_frames_and_killed_peers_leave_nothing_behind_and_move_nothing(name: str, count: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    with TARGETS[name]() as target:
        siege = Siege(target)
        try:
            siege.strike(random.Random(seed).sample(list(cuts(target, random.Random(seed))), count))
            siege.wrong_round(seed, 0, count)
        except Harmed as exc:
            pytest.fail(f"{exc}\nagain:  ./run prove frames {name} --seed {seed}")


def test_what_is_left_behind_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that does not go away: its thread and its descriptor stay."""
    monkeypatch.setattr(frames, "LEFT_AFTER_S", 0.2)
    with gateway_target() as target:
        siege = Siege(target)
        with frames._connect(target) as sock:
            frames._greet(sock, target)
            with pytest.raises(Harmed, match="threads, descriptors after"):
                siege.strike([Attack(True, "none", b"", Ending.CLOSE)])

"""The car said no: the exception, and the words for each kind of no."""

from __future__ import annotations

from typing import Final

from pynet_car.messages import State, Status, Verdict
from pynet_core.errors import PynetError

STANDING: Final = (State.DISARMED, State.E_STOP)


class CarRefused(PynetError):
    """The car said no; `verdict` says what kind of no, the text why and the way out."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


def nobody_or(status: Status) -> str:
    """Who drives."""
    return f"{status.holder_name} drives" if status.holder else "nobody holds the lease"


def refuse_standing(status: Status, own_id: str) -> None:
    """Raise CarRefused where nothing that this operator sends can move the car."""
    if status.holder != own_id:
        raise CarRefused(Verdict.NO_LEASE, nobody_or(status) + "; call lease() or arm() first")
    if status.state in STANDING:
        raise CarRefused(Verdict.DISARMED, f"{status.state}: {status.reason}")


def why_refused(verdict: Verdict, status: Status) -> str:
    """What this verdict means in this state, and the way out."""
    match verdict:
        case Verdict.NO_LEASE:
            return f"{nobody_or(status)}; take the lease first"
        case Verdict.DISARMED:
            return f"the car is {status.state}: {status.reason}"
        case Verdict.STALE:
            return "it answered a Status too old; the link stalls, or this computer does"
        case _:
            return verdict.name.lower()

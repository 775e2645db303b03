"""What went wrong with a robot, in words for a person, each with the next step.  Pure."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Final

from desktop_app.keys import Deed, KeyMap
from desktop_app.view import Pairing
from pynet_core.errors import (
    ConfigError,
    DeadlineExceeded,
    LinkClosed,
    LinkError,
    PoolFull,
    PynetError,
    Refused,
    RemoteProtocolError,
    SubroutineError,
)
from pynet_core.pairing import PairingFailed, WrongCode
from pynet_core.pairing_link import MAX_GUESSES, OPEN_S
from pynet_core.wire import WIRE_VERSION

UNREACHABLE: Final = "No robot answers at {address}. Is it switched on, and on this network?"


def connection_words(error: BaseException, name: str, address: str) -> str:
    """Why there is no link; `name` is the robot's where it is known, else what was typed."""
    robot = name or address
    match error:
        case PoolFull():
            places = _number(r"pool of (\d{1,9})", error.reason)
            return f"{robot} is full: {f'{places} of {places} connections' if places else error.reason}."
        case Refused(code=401):
            return f"{robot} does not know this laptop. Pair it."
        case Refused(code=403):
            return f"You may watch, not drive. An admin of {robot} can change that."
        case Refused(code=426) if theirs := _wire_of(error):
            older = "the robot" if int(theirs) < WIRE_VERSION else "this laptop"
            return f"{robot} speaks wire {theirs}, this window {WIRE_VERSION}. Update {older}."
        case RemoteProtocolError():
            return f"What answers at {address} is no robot. Check the address and the port."
        case SubroutineError(code=404):
            return f"What answers at {address} is a gateway of pynet's, but no robot."
        case SubroutineError():
            return f"{robot} failed: {error.reason}."
        case DeadlineExceeded():
            return UNREACHABLE.format(address=address)
        case Refused():
            return f"{robot} refused: {error.reason}."
        case ConfigError():
            return f"{error}."
        case LinkError() if isinstance(error.__cause__, ConnectionRefusedError):
            return (
                f"No robot answers at {address}, though a computer does. "
                "On the robot: sudo systemctl start pynet-agent"
            )
        case LinkError() if isinstance(error.__cause__, socket.gaierror):
            return f"No robot answers at {address}: no computer has that name here. Try its address."
        case PynetError():
            return f"{UNREACHABLE.format(address=address)} ({error})"
        case _:
            return f"{robot}: {error}"


def pairing_of(error: BaseException, *, is_known: bool) -> Pairing:
    """Whether pairing is the way out; `is_known`: a robot with a key that we trust was here before."""
    match error:
        case Refused(code=401):
            is_stranger = isinstance(error.__cause__, ssl.SSLCertVerificationError)
            return Pairing.CHANGED if is_known and is_stranger else Pairing.WANTED
        case Refused(code=426) if is_known and not _wire_of(error):  # it proves nothing any more
            return Pairing.CHANGED
        case _:
            return Pairing.NONE


def pairing_words(error: BaseException, robot: str, wrong_codes: int) -> str:
    """Why the two are not paired; `wrong_codes` were typed here, one after another, this one included."""
    match error:
        case WrongCode() if wrong_codes >= MAX_GUESSES:
            return (
                f"That code was wrong too. After {MAX_GUESSES} the robot takes no more: "
                "run the command there again."
            )
        case WrongCode():
            return (
                "That code was wrong, so it is void. The robot now shows a new one. "
                "If you typed it right, somebody stands in between: do not go on in this network."
            )
        case PairingFailed():
            return f"{robot} cannot be paired with: {error}."
        case DeadlineExceeded() | LinkClosed():
            return f"{robot} broke off. Look at the code that it shows now, and try again."
        case LinkError() if isinstance(error.__cause__, ConnectionRefusedError):
            return (
                f"{robot} does not pair now. Run the command there, or run it again: "
                f"its codes are good for {OPEN_S / 60:.0f} minutes."
            )
        case LinkError():
            return UNREACHABLE.format(address=robot)
        case _:
            return f"{error}."


def _wire_of(error: Refused) -> str:
    """The version of the robot that refuses ours; '' where it is something else that it does not speak."""
    return _number(r"gateway (\d{1,9})", error.reason)


def _number(pattern: str, reason: str) -> str:
    """A number that a gateway names in its sentence, for people to read; '' when it names none."""
    found = re.search(pattern, reason)
    return found[1] if found else ""


def silence_words(silent_s: float) -> str:
    """While the link is lost."""
    return f"No link for {silent_s:.0f} s. Trying every 0.5 s."


KEY_CHANGED: Final = "This is not the {robot} you paired with. Do not drive it unless you reinstalled it."


def link_is_back(arm_key: str) -> str:
    """It was lost, and the car is disarmed now."""
    return f"Link is back. Disarmed: press {arm_key} to arm."


def no_robot(keys: KeyMap) -> str:
    """Where one would be."""
    return f"No robot connected. Press {keys.cap(Deed.ROBOTS)}."

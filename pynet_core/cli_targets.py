"""What `pynet serve` is to serve: module:name or file.py:name, and the object behind it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pynet_core.errors import ConfigError
from pynet_core.feed import Feed
from pynet_core.gateway import Gateway
from pynet_core.subroutines import is_generator_function


@dataclass(frozen=True, slots=True)
class Target:
    """An object of a module."""

    said: str  # as it was typed
    name: str  # the last part
    value: Any

    @property
    def is_stream(self) -> bool:
        return isinstance(self.value, Feed) or is_generator_function(self.value)


def load_target(said: str) -> Target:
    """The object that was typed.

    Raises:
        ConfigError: There is none, it cannot be served, or its module fails; says where.
    """
    place, colon, path = said.rpartition(":")
    if not colon or not place or not path:
        place = place or said.removesuffix(":")
        raise ConfigError(f"{said!r}: say MODULE:NAME; {_offers(_load(place), place)}")
    module = _load(place)
    value: Any = module
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise ConfigError(f"{said!r}: there is no {name!r} in it; {_offers(module, place)}") from None
    if not (callable(value) or isinstance(value, (Feed, Gateway))):
        raise ConfigError(f"{said!r} is {type(value).__name__}, not a gateway, a function or a generator")
    return Target(said, path.rpartition(".")[2], value)


def _offers(module: ModuleType, place: str) -> str:
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            isinstance(value, (Feed, Gateway))
            or (callable(value) and getattr(value, "__module__", None) == module.__name__)
        )
    ]
    return f"{place} has {', '.join(own)}" if own else f"{place} has nothing to serve"


def _load(place: str) -> ModuleType:
    is_file = place.endswith(".py")
    if is_file and not Path(place).is_file():
        raise ConfigError(f"there is no file {place}")
    # As Python itself has it: what stands beside a script can be imported by it.
    sys.path.insert(0, str(Path(place).resolve().parent if is_file else Path.cwd()))
    try:
        return _load_file(Path(place)) if is_file else importlib.import_module(place)
    except ModuleNotFoundError as exc:
        if exc.name and (place == exc.name or place.startswith(f"{exc.name}.")):
            raise ConfigError(
                f"there is no module {place!r} here, nor is one installed; a file is typed with its .py"
            ) from exc
        raise _failed(place, exc) from exc
    except (Exception, SystemExit) as exc:  # not our code
        raise _failed(place, exc) from exc


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and pickles look for it there
    spec.loader.exec_module(module)
    return module


def _failed(place: str, exc: BaseException) -> ConfigError:
    """Where in their code, and what; a syntax error says its place itself."""
    frames = traceback.extract_tb(exc.__traceback__)
    theirs = [each for each in frames if each.filename != __file__ and "importlib" not in each.filename]
    where = f"{theirs[-1].filename} line {theirs[-1].lineno}: " if theirs else ""
    return ConfigError(f"{place} does not load: {where}{type(exc).__name__}: {exc}")

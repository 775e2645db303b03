"""The rooms and the doors between them: which module may import what.  Another arrow is a change of design.

Reads the source, imports nothing of it.  Each rule takes the source tree and gives sentences about what
breaks it; each is shown below able to fail.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
MAX_LINES: Final = 400  # a file is one room; beyond this it is two
NAMELESS: Final = {"util.py", "utils.py", "helper.py", "helpers.py", "misc.py"}  # rooms without a subject

# package: which of our other packages it may import
ARROWS: Final[dict[str, set[str]]] = {
    "pynet_core": set(),
    "pynet": {"pynet_core"},
    "pynet_car": {"pynet_core"},
    "pi_agent": {"pynet_car", "pynet_core"},
    "desktop_app": {"pynet_car", "pynet_core"},
}

# outside library: the only files that may import it
FENCES: Final[dict[str, tuple[str, ...]]] = {
    "gpiozero": (
        "pi_agent/pins.py",
        "pi_agent/lgpio_pins.py",
        "pi_agent/outputs/gpio.py",
        "pi_agent/sensors/*",
        "pi_agent/simulated/*",
    ),
    "lgpio": ("pi_agent/lgpio_pins.py",),
    "picamera2": ("pi_agent/picamera.py",),
    "libcamera": ("pi_agent/picamera.py",),
    "PyQt5": ("desktop_app/*",),
    "sdl2": ("desktop_app/*",),
    "numpy": ("desktop_app/*", "pynet_car/world/*"),
    "cv2": ("desktop_app/*", "pynet_car/world/*"),
    "simplejpeg": ("desktop_app/*", "pynet_car/world/*"),
    "cryptography": ("pynet_core/certificate.py",),
    "rich": ("pynet_core/cli_table.py", "pynet_core/cli_progress.py"),  # imports slowly: only what draws
    "zeroconf": ("pynet_core/discovery.py",),  # missing, it costs discovery only
    "ifaddr": ("pynet_core/discovery.py",),
    "spake2": ("pynet_core/pairing.py",),
    "regex": ("pynet_core/transfer/pattern.py",),  # `re` cannot be stopped: a peer's patterns go through it
    "pathspec": ("pynet_core/transfer/choosing.py",),  # the caller's own patterns only: it cannot be stopped
    "zstandard": ("pynet_core/transfer/compression.py",),  # which knows what to do without it
    "xxhash": ("pynet_core/transfer/digest.py",),  # which knows what to do without it
    "torch": ("desktop_app/pilot/*",),
    "onnxruntime": ("desktop_app/pilot/*",),
}

ALONE: Final = "pi_agent/neutral.py"  # runs when all else is broken: the standard library only

# (file, module) imported inside a function, and why it cannot stand at the top
INNER_IMPORTS: Final[dict[tuple[str, str], str]] = {
    ("pi_agent/__main__.py", "pi_agent.cli.main"): "the guardian is small and starts soon",
    ("pi_agent/__main__.py", "pi_agent.daemon.main"): "the verbs work without gpiozero",
    ("desktop_app/__main__.py", "desktop_app.program.main"): "without PyQt5 it says what to type",
    ("pynet_car/world/__main__.py", "pynet_car.world.program.main"): "without OpenCV it says what to type",
    ("pynet_car/world/demo.py", "pynet_car.world.measuring.measure"): "without OpenCV it says what to type",
    ("pi_agent/cli.py", "pynet_core.cli_pair.serve_pairing"): "cryptography imports slowly",
    ("pi_agent/camera.py", "pi_agent.picamera.PiCamera"): "picamera2 is only on a Pi, and imports slowly",
    ("pi_agent/pins.py", "pi_agent.lgpio_pins.FinePins"): "lgpio is only where pins are",
    ("pynet_core/discovery.py", "ifaddr"): "zeroconf's",
    ("pynet_core/discovery.py", "zeroconf"): "imports slowly, may be missing, and few need it",
    ("pynet_core/keys.py", "pynet_core.certificate.make_certificate"): "cryptography imports slowly",
}


@dataclass(frozen=True)
class Import:
    """One import of one file; `module` is absolute and dotted, its last part may be a name in the module."""

    file: str
    module: str
    inner: bool  # inside a function

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Tree:
    """The source of our packages under one folder."""

    lines: Mapping[str, int]  # how many, of each file
    imports: tuple[Import, ...]

    def file_of(self, module: str) -> str | None:
        """Our file that this import runs; None if the module is not ours."""
        while module:
            stem = module.replace(".", "/")
            for file in (f"{stem}.py", f"{stem}/__init__.py"):
                if file in self.lines:
                    return file
            module = module.rpartition(".")[0]
        return None


def read(root: Path) -> Tree:
    """Parse every file of our packages under `root`."""
    lines: dict[str, int] = {}
    imports: list[Import] = []
    for package in ARROWS:
        for path in sorted((root / package).rglob("*.py")):
            file = path.relative_to(root).as_posix()
            source = path.read_text(encoding="utf-8")
            lines[file] = len(source.splitlines())
            for module, inner in _modules(ast.parse(source, file), file):
                imports.append(Import(file, module, inner))
    return Tree(lines, tuple(imports))


def _modules(node: ast.AST, file: str, inner: bool = False) -> Iterator[tuple[str, bool]]:
    """Everything imported under `node`, TYPE_CHECKING blocks included: a type is a dependency too."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, inner
    elif isinstance(node, ast.ImportFrom):
        package = file.split("/")[: -node.level] if node.level else []
        for alias in node.names:
            yield ".".join([*package, *filter(None, [node.module]), alias.name]), inner
    inner = inner or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    for child in ast.iter_child_nodes(node):
        yield from _modules(child, file, inner)


# --- the rules ---


def only_along_the_arrows(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        home = found.file.partition("/")[0]
        if found.package in ARROWS and found.package not in ARROWS[home] | {home}:
            yield f"{found.file} imports {found.module}: {home} may not know {found.package}"


def no_cycle(tree: Tree) -> Iterator[str]:
    graph: dict[str, set[str]] = {file: set() for file in tree.lines}
    for found in tree.imports:
        target = tree.file_of(found.module)
        if target and target != found.file:
            graph[found.file].add(target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as exc:
        yield "cycle: " + " imported by ".join(exc.args[1])


def fenced_libraries_stay_in_their_files(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        allowed = FENCES.get(found.package)
        if allowed is not None and not any(fnmatch(found.file, pattern) for pattern in allowed):
            yield f"{found.file} imports {found.package}: only {', '.join(allowed)} may"


def neutral_stands_alone(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        if found.file == ALONE and found.package not in sys.stdlib_module_names:
            yield f"{ALONE} imports {found.module}: the standard library only"


def no_import_inside_a_function(tree: Tree) -> Iterator[str]:
    inner = {(found.file, found.module) for found in tree.imports if found.inner}
    for file, module in sorted(inner - INNER_IMPORTS.keys()):
        yield f"{file} imports {module} inside a function"
    for file, module in sorted(INNER_IMPORTS.keys() - inner):
        if file in tree.lines:
            yield f"{file} no longer imports {module} inside a function: take it off the list"


def no_star(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        if found.module.endswith(".*"):
            yield f"{found.file} imports {found.module}"


def every_room_has_a_subject(tree: Tree) -> Iterator[str]:
    for file in tree.lines:
        if file.rpartition("/")[2] in NAMELESS:
            yield f"{file}: name it for what it does"


def no_room_is_two(tree: Tree) -> Iterator[str]:
    for file, lines in tree.lines.items():
        if lines > MAX_LINES:
            yield f"{file} has {lines} lines, limit {MAX_LINES}: split it where its summary needs an 'and'"


Rule = Callable[[Tree], Iterator[str]]
RULES: Final[tuple[Rule, ...]] = (
    only_along_the_arrows,
    no_cycle,
    fenced_libraries_stay_in_their_files,
    neutral_stands_alone,
    no_import_inside_a_function,
    no_star,
    every_room_has_a_subject,
    no_room_is_two,
)


@pytest.fixture(scope="module")
def ours() -> Tree:
    return read(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_our_source_keeps(rule: Rule, ours: Tree) -> None:
    assert list(rule(ours)) == []


def test_the_reader_sees_our_source(ours: Tree) -> None:
    """An empty tree would keep every rule."""
    assert {file.partition("/")[0] for file in ours.lines} >= {"pynet_core", "pynet", "pynet_car", "pi_agent"}
    assert Import("pi_agent/link.py", "pynet_core.errors.LinkClosed", inner=False) in ours.imports


# --- each rule can fail ---


def said(rule: Rule, root: Path, files: dict[str, str]) -> list[str]:
    for name, source in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source)
    return list(rule(read(root)))


CORE: Final = {"pynet_core/__init__.py": "", "pynet_core/wire.py": "", "pi_agent/ports.py": ""}

BROKEN: Final[list[tuple[Rule, str, str, str]]] = [
    (
        only_along_the_arrows,
        "pynet_core/wire.py",
        "import pynet_car.messages",
        "pynet_core may not know pynet_car",
    ),
    (
        only_along_the_arrows,
        "pynet/__init__.py",
        "from pynet_car import messages",
        "pynet may not know pynet_car",
    ),
    (only_along_the_arrows, "pynet_car/operator.py", "import pi_agent", "pynet_car may not know pi_agent"),
    (
        only_along_the_arrows,
        "pi_agent/x.py",
        "from desktop_app.app import A",
        "pi_agent may not know desktop_app",
    ),
    (
        only_along_the_arrows,
        "desktop_app/link.py",
        "import pi_agent.config",
        "desktop_app may not know pi_agent",
    ),
    (only_along_the_arrows, "pi_agent/worker.py", "import pynet", "pi_agent may not know pynet"),
    (
        only_along_the_arrows,
        "pynet_core/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pynet_car",
        "pynet_core may not know pynet_car",
    ),
    (no_cycle, "pynet_core/a.py", "from pynet_core.a2 import x", ""),
    (
        fenced_libraries_stay_in_their_files,
        "pi_agent/guardian.py",
        "from gpiozero import Motor",
        "gpiozero: only",
    ),
    (
        fenced_libraries_stay_in_their_files,
        "pi_agent/worker.py",
        "import picamera2.encoders",
        "picamera2: only",
    ),
    (fenced_libraries_stay_in_their_files, "pynet_car/operator.py", "import numpy as np", "numpy: only"),
    (fenced_libraries_stay_in_their_files, "pi_agent/camera.py", "import simplejpeg", "simplejpeg: only"),
    (
        fenced_libraries_stay_in_their_files,
        "pynet_car/world/lens.py",
        "from PyQt5 import QtGui",
        "PyQt5: only",
    ),
    (fenced_libraries_stay_in_their_files, "desktop_app/app.py", "import torch.nn", "torch: only"),
    (fenced_libraries_stay_in_their_files, "pynet_core/client.py", "import regex as re", "regex: only"),
    (
        fenced_libraries_stay_in_their_files,
        "pynet_core/transfer/part.py",
        "from xxhash import xxh3_128",
        "xxhash: only",
    ),
    (neutral_stands_alone, "pi_agent/neutral.py", "import msgspec", "the standard library only"),
    (
        neutral_stands_alone,
        "pi_agent/neutral.py",
        "from pi_agent.ports import X",
        "the standard library only",
    ),
    (neutral_stands_alone, "pi_agent/neutral.py", "from .ports import X", "the standard library only"),
    (no_import_inside_a_function, "pynet_core/a.py", "def f():\n    import json", "imports json inside"),
    (
        no_import_inside_a_function,
        "pi_agent/a.py",
        "class A:\n    async def f(self):\n        import os",
        "imports os",
    ),
    (no_star, "pynet/backend2.py", "from struct import *", "imports struct.*"),
    (every_room_has_a_subject, "pi_agent/sensors/utils.py", "", "pi_agent/sensors/utils.py"),
    (no_room_is_two, "pynet_car/messages.py", "\n" * 401, "pynet_car/messages.py has 401 lines"),
]


@pytest.mark.parametrize(("rule", "file", "source", "says"), BROKEN)
def test_the_rule_fails_on(rule: Rule, file: str, source: str, says: str, tmp_path: Path) -> None:
    files = CORE | {"pynet_core/a2.py": "import pynet_core.a"} | {file: source}
    sentences = said(rule, tmp_path, files)
    assert len(sentences) == 1
    assert file in sentences[0]
    assert says in sentences[0]


ALLOWED: Final[list[tuple[Rule, str, str]]] = [
    (
        only_along_the_arrows,
        "pi_agent/worker.py",
        "import pynet_car.messages, pynet_core.gateway, pi_agent.link",
    ),
    (
        only_along_the_arrows,
        "desktop_app/app.py",
        "from pynet_car.operator import Operator\nimport pynetwork",
    ),
    (no_cycle, "pynet_core/a.py", "from pynet_core import wire"),
    (fenced_libraries_stay_in_their_files, "pi_agent/sensors/proximity.py", "import gpiozero"),
    (fenced_libraries_stay_in_their_files, "pi_agent/simulated/pins.py", "from gpiozero.pins import mock"),
    (fenced_libraries_stay_in_their_files, "pynet_car/world/render.py", "import numpy, cv2, simplejpeg"),
    (neutral_stands_alone, "pi_agent/neutral.py", "import json, mmap\nfrom pathlib import Path"),
    (no_import_inside_a_function, "pynet_core/a.py", "if True:\n    import json"),
    (no_room_is_two, "pynet_core/a.py", "\n" * 400),
]


@pytest.mark.parametrize(("rule", "file", "source"), ALLOWED)
def test_the_rule_allows(rule: Rule, file: str, source: str, tmp_path: Path) -> None:
    assert said(rule, tmp_path, CORE | {file: source}) == []


def test_a_cycle_through_an_init_is_found(tmp_path: Path) -> None:
    files = {
        "pynet_core/__init__.py": "from pynet_core.a import A",
        "pynet_core/a.py": "from pynet_core import B",
    }
    assert len(said(no_cycle, tmp_path, files)) == 1


def test_a_listed_inner_import_passes_and_a_stale_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(INNER_IMPORTS, ("pynet_core/a.py", "json"), "a reason")
    assert said(no_import_inside_a_function, tmp_path, {"pynet_core/a.py": "def f():\n    import json"}) == []
    assert "take it off" in said(no_import_inside_a_function, tmp_path, {"pynet_core/a.py": "import json"})[0]

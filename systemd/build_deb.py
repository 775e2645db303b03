"""Build the Debian packages: `./run deb [--arch ARCH ...] [--version VERSION] [--out DIR]`.

pynet-agent holds our code and the Python packages that Debian lacks,
pynet-agent-sim OpenCV and the simulated world's unit.  Each is for one
architecture and both suites: compiled modules are there for both Pythons, side
by side, and Python picks its own.  Needs dpkg-deb, and pip's index the first time.
"""

from __future__ import annotations

import argparse
import email.utils
import gzip
import hashlib
import shutil
import string
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from man_pages import man_pages

HERE: Final = Path(__file__).resolve().parent
SOURCE: Final = HERE.parent
PACKAGES: Final = ("pynet", "pynet_core", "pynet_car", "pi_agent")
AGENT: Final = "pynet-agent"
SIM: Final = "pynet-agent-sim"
PYTHONS: Final = ("311", "313")  # bookworm, trixie
GLIBC_MINOR: Final = 36  # bookworm's, the older one
MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
FOREIGN: Final = ("RECORD", "WHEEL", "INSTALLER", "REQUESTED")  # of a wheel, no longer true of its files here
MAINTAINER: Final = "The pynet maintainers <pynet@localhost>"
# What lintian says of wheels: they bring their own libraries, built and linked elsewhere.
EXCUSED: Final = ("embedded-library", "unstripped-binary-or-object", "bogus-mail-host")
COMMANDS: Final = {"pynet-agent": "pi_agent.__main__", "pynet": "pynet_core.cli"}
COMPLETIONS: Final = {  # which a shell reads when it first has to complete `pynet`
    "usr/share/bash-completion/completions/pynet": 'eval "$(pynet completion bash)"',
    "usr/share/fish/vendor_completions.d/pynet.fish": "pynet completion fish | source",
}
COMMAND: Final = """\
#!/usr/bin/python3 -P
import os
import sys

HERE = "/usr/lib/pynet-agent"
sys.path.insert(0, HERE)
os.environ["PYTHONPATH"] = HERE  # for the processes we start

from {module} import main

sys.exit(main())
"""


class CannotBuild(Exception):
    """The text says what is missing."""


def build(arch: str, version: str, out: Path, *, sim: bool = True) -> list[Path]:
    """Both packages for one architecture, or the agent's alone; returns their files.

    Raises:
        CannotBuild: A tool or a wheel cannot be had.
    """
    vendored = tomllib.loads((HERE / "vendor.toml").read_text())
    made = []
    with tempfile.TemporaryDirectory(prefix="pynet-deb-") as folder:
        agent = Path(folder, AGENT)
        _fill_agent(agent, version)
        _unpack(vendored["agent"], arch, agent / "usr/lib" / AGENT)
        made.append(_pack(agent, "agent", AGENT, version, arch, out))
        if sim:
            root = Path(folder, SIM)
            _put(root / "usr/lib/systemd/system" / f"{SIM}.service", (HERE / f"{SIM}.service").read_text())
            _unpack(vendored["sim"], arch, root / "usr/lib" / SIM)
            made.append(_pack(root, "sim", SIM, version, arch, out))
    return made


def _fill_agent(root: Path, version: str) -> None:
    """All of ours."""
    library = root / "usr/lib" / AGENT
    for package in PACKAGES:
        shutil.copytree(SOURCE / package, library / package, ignore=shutil.ignore_patterns("__pycache__"))
    _describe(library / f"pynet_swarm-{version}.dist-info", version)
    for command, module in COMMANDS.items():
        _put(root / "usr/bin" / command, COMMAND.format(module=module), mode=0o755)
    for name, place in (
        (f"{AGENT}.service", f"usr/lib/systemd/system/{AGENT}.service"),
        (f"{AGENT}.sysusers", f"usr/lib/sysusers.d/{AGENT}.conf"),
        (f"{AGENT}.rules", f"usr/lib/udev/rules.d/60-{AGENT}.rules"),
    ):
        _put(root / place, (HERE / name).read_text())
    for place, script in COMPLETIONS.items():
        _put(root / place, f"{script}\n")
    for name, page in man_pages(version).items():
        _put(root / f"usr/share/man/man1/{name}.1.gz", gzip.compress(page.encode(), mtime=0))
    _put(root / "etc/pynet/agent.toml", _settings())


def _settings() -> str:
    """The settings of a robot that others may call: installing it makes it an identity."""
    text = (SOURCE / "pi_agent/agent.toml").read_text()
    here, everywhere = 'host = "127.0.0.1"  ', 'host = ""           '
    if text.count(here) != 1:
        raise CannotBuild(f"pi_agent/agent.toml no longer has one line {here!r}")
    return text.replace(here, everywhere)


def _describe(folder: Path, version: str) -> None:
    """What importlib.metadata finds: our version, plugins and verbs."""
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), ""]
    _put(folder / "entry_points.txt", "\n".join(lines))
    _put(folder / "METADATA", f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n")


def _unpack(versions: dict[str, str], arch: str, library: Path) -> None:
    """These packages' wheels, for every Python, into one tree."""
    for wheel in _wheels(versions, arch):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                name = Path(entry.filename)
                if entry.is_dir() or (name.parent.name.endswith(".dist-info") and name.name in FOREIGN):
                    continue
                target = library / name
                content = archive.read(entry)
                if target.exists() and target.read_bytes() != content:
                    raise CannotBuild(f"{wheel.name}: {name} differs between the wheels of two Pythons")
                _put(target, content)


def _wheels(versions: dict[str, str], arch: str) -> Iterator[Path]:
    """Downloaded by pip, once, each for the Pythons it is made for."""
    kept = Path.home() / ".cache/pynet-deb" / arch
    key = hashlib.sha256(repr((sorted(versions.items()), PYTHONS, GLIBC_MINOR)).encode()).hexdigest()[:12]
    folder = kept / key
    if not folder.is_dir():
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept) as fresh:
            for python in PYTHONS:
                _download(versions, MACHINES[arch], python, fresh)
            Path(fresh, "done").mkdir()
            for wheel in Path(fresh).glob("*.whl"):
                wheel.rename(Path(fresh, "done", wheel.name))
            if not folder.exists():  # another build may have been faster
                Path(fresh, "done").rename(folder)
    return iter(sorted(folder.glob("*.whl")))


def _download(versions: dict[str, str], machine: str, python: str, folder: str) -> None:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(5, GLIBC_MINOR + 1)]
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", f"--dest={folder}"]
    command += [f"--python-version={python}", "--implementation=cp"]
    command += [f"--abi={abi}" for abi in (f"cp{python}", "abi3", "none")]
    command += [f"--platform={platform}" for platform in (f"manylinux2014_{machine}", *platforms)]
    command += [f"{name}=={version}" for name, version in versions.items()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotBuild(f"pip cannot download the wheels, is this machine online?\n{done.stderr}")


def _pack(root: Path, control: str, package: str, version: str, arch: str, out: Path) -> Path:
    """The .deb of all that is under `root`."""
    _document(root, package, version)
    updating = (HERE / "debian/rtupdate").read_text().replace("${package}", package)
    _put(root / f"usr/share/python3/runtime.d/{package}.rtupdate", updating, mode=0o755)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    sums = "".join(f"{hashlib.md5(f.read_bytes()).hexdigest()}  {f.relative_to(root)}\n" for f in files)
    size_kb = sum(-(-path.stat().st_size // 1024) for path in files)
    scripts = HERE / "debian"
    fields = (scripts / control / "control").read_text()
    fields += (
        f"Maintainer: {MAINTAINER}\nVersion: {version}\nArchitecture: {arch}\nInstalled-Size: {size_kb}\n"
    )
    own = {"package": package, "version": version}
    _put(root / "DEBIAN/control", string.Template(fields).substitute(own))
    _put(root / "DEBIAN/md5sums", sums)
    if settings := [f"/{f.relative_to(root)}\n" for f in files if f.is_relative_to(root / "etc")]:
        _put(root / "DEBIAN/conffiles", "".join(settings))
    for name in ("postinst", "prerm", "postrm"):
        script = scripts / control / name
        text = (script if script.exists() else scripts / name).read_text()
        service = scripts / f"{name}-service"
        if service.exists():
            text = text.replace("#SERVICE#\n", service.read_text())
        _put(root / "DEBIAN" / name, text.replace("${package}", package), mode=0o755)
    out.mkdir(parents=True, exist_ok=True)
    deb = out / f"{package}_{version}_{arch}.deb"
    try:
        subprocess.run(
            # zstd: bookworm's dpkg reads it, and OpenCV takes 2 s in place of xz's minute.
            ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z6", "--build", str(root), str(deb)],
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError as exc:
        raise CannotBuild("needs dpkg-deb; this is no Debian-like system") from exc
    except subprocess.CalledProcessError as exc:
        raise CannotBuild(f"dpkg-deb: {exc.stderr}") from exc
    return deb


def _document(root: Path, package: str, version: str) -> None:
    folder = root / "usr/share/doc" / package
    news = SOURCE / "CHANGELOG.md"
    date = email.utils.formatdate(news.stat().st_mtime)
    entry = (
        f"{package} ({version}) stable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- {MAINTAINER}  {date}\n"
    )
    for name, text in (
        ("README", (HERE / "README").read_text()),
        ("CHANGELOG.md", news.read_text()),
        ("changelog", entry),
    ):
        _put(folder / f"{name}.gz", gzip.compress(text.encode(), mtime=0))
    _put(folder / "copyright", (HERE / "debian/copyright").read_text())
    overrides = "".join(f"{package}: {tag}\n" for tag in EXCUSED)
    _put(root / "usr/share/lintian/overrides" / package, overrides)


def _put(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run deb", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--arch", action="append", choices=list(MACHINES), help="both by default")
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    parser.add_argument("--only", choices=[AGENT], help="leave the other package out")
    parser.add_argument("--version", default=project["version"], help="of the packages (%(default)s)")
    parser.add_argument("--out", type=Path, default=SOURCE / "dist", help="where to (%(default)s)")
    options = parser.parse_args()
    try:
        for arch in options.arch or MACHINES:
            for deb in build(arch, options.version, options.out, sim=options.only is None):
                print(f"{deb}  {deb.stat().st_size / 1e6:.1f} MB")
    except CannotBuild as exc:
        print(f"deb: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`pynet` itself: verbs, errors, exit codes, completion, and what the page says of them all."""

from __future__ import annotations

import datetime
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import pytest
from click.testing import CliRunner

from pi_agent.cli import agent
from pynet_core.cli import pynet
from pynet_core.cli_frame import HIDDEN, Number, printable, run, tell
from pynet_core.cli_gateway import split_address
from pynet_core.errors import LinkError
from pynet_core.gateway import Gateway
from tests.core.loopback import eventually, serving
from tests.core.shell import PYNET, TIMEOUT_S, is_told, sections, started, typed

NO_JSON: Final = {"pynet completion"}


def verbs(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """("pynet key new", its command) of all there are."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        below = command.get_command(context, word)
        assert below is not None
        yield from verbs(below, f"{name} {word}")


VERBS: Final = dict([*verbs(pynet, "pynet"), *verbs(agent, "pynet-agent")])


def options_of(command: click.Command) -> set[str]:
    options = [each for each in command.params if isinstance(each, click.Option)]
    names = [name for each in options for name in (*each.opts, *each.secondary_opts)]
    return {name for name in names if name.startswith("--")}


# What there is, and what the page says


def test_the_page_has_every_verb_and_no_other() -> None:
    assert set(sections()) == VERBS.keys()


@pytest.mark.parametrize("name", VERBS)
def test_the_page_has_every_option_of_a_verb_and_no_other(name: str) -> None:
    rows = re.findall(r"^\| (`--.*?) \|", sections()[name], re.MULTILINE)
    assert set(re.findall(r"--[\w-]+", " ".join(rows))) == options_of(VERBS[name])


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_says_what_it_does_and_speaks_json(name: str) -> None:
    shown = CliRunner().invoke(VERBS[name], ["--help"])
    assert shown.exit_code == 0
    assert VERBS[name].get_short_help_str()
    assert ("--json" in options_of(VERBS[name])) == (name not in NO_JSON)


@pytest.mark.parametrize("code", ["0", "1", "2", "130"])
def test_the_page_says_what_the_exit_codes_mean(code: str) -> None:
    page = Path(__file__).parents[2] / "docs/reference/command-line.md"
    assert re.search(rf"^\| {code} \| \w", page.read_text(), re.MULTILINE)


# Errors and exit codes


@click.command()
@click.argument("how")
def failing(how: str) -> int:
    if how == "ask":
        click.prompt("Code")
    raise {
        "link": LinkError("no gateway\nthere \x1b[31m"),
        "file": FileNotFoundError(2, "No such file or directory", "/nowhere"),
        "stop": KeyboardInterrupt(),
        "bug": ZeroDivisionError("ours"),
    }[how]


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        ("link", 1, f"p: no gateway there {HIDDEN}[31m\n"),
        ("file", 1, "p: /nowhere: No such file or directory\n"),
        ("stop", 130, "\n"),
        ("ask", 1, "p: nobody is here to ask: the input has ended\n"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    how: str, code: int, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: Any) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", no_more)
    monkeypatch.setattr(click.termui, "visible_prompt_func", no_more)
    assert run(failing, [how], "p") == code
    assert capsys.readouterr().err.endswith(says)


def test_a_bug_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run(failing, ["bug"], "p")


@pytest.mark.slow
def test_no_gateway_there_is_one_sentence_and_1(free_port: int) -> None:
    assert is_told(typed("ping", "--port", free_port)).startswith(
        f"no gateway at this machine port {free_port}"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["fly"], ["ping", "--count", "many"], ["ping", "x:y"], ["ping", "x:1", "--port", "2"]]
)
def test_wrong_use_is_2(words: list[str]) -> None:
    done = typed(*words)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("word", ["nan", "-NaN"])
def test_what_is_no_number_is_in_no_range(word: str) -> None:
    with pytest.raises(click.BadParameter, match="is no number"):
        Number(0.02, 0.3)(word)
    assert Number(0.02, 0.3)("0.1") == 0.1


def test_ctrl_c_is_130_and_shows_what_there_is() -> None:
    opened: list[str] = []
    with serving(on_pair=lambda _, what: opened.append(what)) as gateway:
        asking = started("ping", "--port", gateway.port, "--count", 0, "--interval", 0.001)
        assert eventually(lambda: opened, 20.0)
        asking.send_signal(signal.SIGINT)
        said, told = asking.communicate(timeout=20)
    assert asking.returncode == 130, told
    assert "Traceback" not in told
    assert "0.0% lost" in said or said == ""


@pytest.mark.slow
def test_nobody_who_reads_is_no_traceback(gateway: Gateway) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    asking = started("ping", "--port", gateway.port, "--json", stdout=writer)
    os.close(writer)
    _, told = asking.communicate(timeout=20)
    assert asking.returncode == 1
    assert told == ""


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["--version", "bench --seconds 0.05 --port"])
def test_a_stdout_that_is_closed_is_one_sentence(verb: str, gateway: Gateway) -> None:
    port = [str(gateway.port)] if verb.endswith("--port") else []
    words = shlex.join([*PYNET, *verb.split(), *port])
    done = subprocess.run(["sh", "-c", f"{words} >&-"], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert is_told(done) == "Bad file descriptor"


def plugin(folder: Path, line: str) -> None:
    made = folder / "broken-1.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (made / "entry_points.txt").write_text(f"[pynet.commands]\n{line}\n")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fly = nowhere.at_all:fly", "the verb 'fly' of nowhere.at_all:fly does not load: No module"),
        ("fly = math:pi", "the verb 'fly' of math:pi is no click command"),
    ],
)
def test_somebody_s_broken_verb_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, says: str
) -> None:
    plugin(tmp_path, line)
    monkeypatch.syspath_prepend(tmp_path)
    listed = CliRunner().invoke(pynet, ["--help"])
    assert listed.exit_code == 0
    assert "(does not load)" in listed.output
    assert "Measure round trips" in listed.output
    used = CliRunner().invoke(pynet, ["fly", "--high"])
    assert used.exit_code == 1
    assert says in used.output


# Addresses, and what is written


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [
        ("", "", None),
        ("rover.local", "rover.local", None),
        ("rover:1858", "rover", 1858),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("fd00::1", "fd00::1", None),
        ("[fd00::1]", "fd00::1", None),
        ("[fd00::1]:65535", "fd00::1", 65535),
    ],
)
def test_an_address_may_bear_a_port(typed: str, host: str, port: int | None) -> None:
    assert split_address(typed) == (host, port)


@pytest.mark.parametrize(
    "typed", ["rover:", "rover:0", "rover:65536", "rover:http", "rover:１２", "[fd00::1]:x"]
)
def test_a_port_that_is_none_is_wrong_use(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="a port is 1 to 65535"):
        split_address(typed)


def test_json_has_no_bytes_nor_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    tell({"a": b"\xff\x00", "b": [float("nan"), {"c": float("inf")}], "d": "\udcff"})
    assert json.loads(capsys.readouterr().out) == {"a": "/wA=", "b": [None, {"c": None}], "d": "\udcff"}


def test_json_has_the_dates_of_payloads_and_whatever_else_msgpack_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    when = datetime.datetime(2026, 11, 22, 16, 30, tzinfo=datetime.UTC)
    tell({"when": when, "odd": [msgspec.msgpack.Ext(5, b"x"), {1: True, "none": None}]})
    said = json.loads(capsys.readouterr().out)
    assert said["when"] == "2026-11-22T16:30:00+00:00"
    assert said["odd"][1] == {"1": True, "none": None}


def test_what_others_send_moves_no_cursor() -> None:
    assert printable("a  b\n\x1b[2J\x07c\u202e\t") == f"a  b {HIDDEN}[2J{HIDDEN}c{HIDDEN} "


DRAW: Final = (
    "from pynet_core.cli_table import show_table; show_table(('name', 'x'), [('[red]a\\x1b', 'b c')])"
)


def on_a_terminal(code: str, **environment: str) -> str:
    """What it writes there."""
    ours, its = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", code],
        stdout=its,
        check=True,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    )
    os.close(its)
    written = os.read(ours, 65536).decode()
    os.close(ours)
    return written


@pytest.mark.slow
def test_tables_are_coloured_on_a_terminal_unless_no_color_is_set() -> None:
    coloured, plain = on_a_terminal(DRAW, NO_COLOR=""), on_a_terminal(DRAW, NO_COLOR="1")
    assert "\x1b[" in coloured
    assert "\x1b" not in plain
    assert plain.split() == ["name", "x", f"[red]a{HIDDEN}", "b", "c"]


@pytest.mark.slow
def test_a_terminal_of_few_letters_is_no_traceback() -> None:
    done = typed("ping", "größe", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert "cannot reach gr\\xf6\\xdfe port 1857: " in is_told(done)


@pytest.mark.slow
def test_a_table_that_a_program_reads_is_its_rows_alone() -> None:
    done = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, check=True)
    assert done.stdout == f"[red]a{HIDDEN}  b c\n"


# Completion


@pytest.fixture
def path_with_pynet(tmp_path: Path) -> str:
    script = tmp_path / "pynet"
    script.write_text(f"#!{sys.executable}\nfrom pynet_core.cli import main\nmain()\n")
    script.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "offered"),
    [("pi", "ping"), ("key re", "revoke"), ("ping --co", "--count"), ("pair --role a", "admin")],
)
def test_bash_completes_verbs_options_and_values(words: str, offered: str, path_with_pynet: str) -> None:
    script = """
        eval "$(pynet completion bash)"
        COMP_WORDS=(pynet "$@")
        COMP_CWORD=$#
        _pynet_completion pynet
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-uc", script, "bash", *words.split()],
        env={**os.environ, "PATH": path_with_pynet},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [offered], done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_get_a_script_of_theirs(shell: str, path_with_pynet: str) -> None:
    script = CliRunner().invoke(pynet, ["completion", shell]).output
    assert f"_PYNET_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", script], check=True)


# What starts soon


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("pi_agent.daemon", "click rich zeroconf"),
        ("pi_agent.worker", "click rich zeroconf"),
        ("pi_agent.cli", "rich zeroconf"),
        ("pynet_core.cli", "rich zeroconf pynet_core.controller"),
        ("pynet", "click rich zeroconf"),
    ],
)
def test_importing_it_does_not_wait_for_what_it_seldom_needs(module: str, without: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(without.split()) & set(done.stdout.split())

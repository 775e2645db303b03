"""pynet_core.trust: who is on the list, what a person may write in it, and when a change counts."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pynet_core.errors import ConfigError
from pynet_core.keys import Identity
from pynet_core.trust import Trusted, TrustStore, decode_certificate, encode_certificate

CERTIFICATES = [Identity.new().certificate for _ in range(4)]


def device(name: str, role: str = "driver", number: int = 0) -> Trusted:
    return Trusted(role, name, CERTIFICATES[number])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "trusted"


@pytest.fixture
def store(path: Path) -> TrustStore:
    return TrustStore(path)


# The list


def test_a_missing_file_trusts_nobody(store: TrustStore) -> None:
    assert store.devices == ()
    assert store.find(device("laptop").fingerprint) is None


def test_a_device_is_found_by_its_fingerprint_alone(store: TrustStore) -> None:
    store.add(device("laptop"))
    assert store.find(device("anything").fingerprint) == device("laptop")
    assert store.find(device("x", number=1).fingerprint) is None
    assert store.find("") is None


def test_what_was_added_stands_in_the_file_for_the_next_process(store: TrustStore, path: Path) -> None:
    devices = (device("laptop"), device("rover", "gateway", 1), device("tablet", "viewer", 2))
    for each in devices:
        store.add(each)
    assert TrustStore(path).devices == store.devices == devices


def test_a_person_can_read_the_file(store: TrustStore, path: Path) -> None:
    store.add(device("laptop", "admin"))
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 1
    assert lines[0].split()[:3] == ["admin", "laptop", device("laptop").fingerprint]


def test_the_same_name_or_the_same_certificate_again_replaces_the_line(store: TrustStore) -> None:
    store.add(device("laptop"))
    store.add(device("laptop", "viewer", 1))
    assert store.devices == (device("laptop", "viewer", 1),)
    store.add(device("renamed", "viewer", 1))
    assert store.devices == (device("renamed", "viewer", 1),)


def test_who_is_removed_is_gone_and_who_is_unknown_is_an_error_that_says_who_is_known(
    store: TrustStore, path: Path
) -> None:
    store.add(device("laptop"))
    store.add(device("tablet", number=1))
    assert store.remove("laptop") == device("laptop")
    assert TrustStore(path).devices == (device("tablet", number=1),)
    with pytest.raises(ConfigError, match="no trusted device is called 'laptop'; known: tablet"):
        store.remove("laptop")


def test_a_store_without_a_file_keeps_what_it_was_given() -> None:
    store = TrustStore(devices=[device("laptop")])
    store.add(device("tablet", number=1))
    store.remove("laptop")
    store.refresh()
    assert store.devices == (device("tablet", number=1),)


@pytest.mark.parametrize("name", ["", "two words", "tab\tbed", "line\nbreak", "#hash", "x" * 65])
def test_a_name_that_would_break_the_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a name is one word of 1 to 64 characters"):
        device(name)


@pytest.mark.parametrize("role", ["", "root", "Driver", "gateway+", "gateway+admin", "driver+gateway"])
def test_a_role_that_is_none_is_refused_with_those_there_are(role: str) -> None:
    with pytest.raises(
        ValueError,
        match="a role is one of gateway, viewer, driver, admin, ",
    ):
        device("laptop", role)


@pytest.mark.parametrize(
    ("role", "may_call", "may_answer", "as_caller"),
    [
        ("gateway", False, True, ""),
        ("viewer", True, False, "viewer"),
        ("driver", True, False, "driver"),
        ("admin", True, True, "admin"),
        ("gateway+viewer", True, True, "viewer"),
        ("gateway+driver", True, True, "driver"),
    ],
)
def test_a_role_says_who_may_call_whom(role: str, may_call: bool, may_answer: bool, as_caller: str) -> None:
    each = device("laptop", role)
    assert (each.may_call, each.may_answer) == (may_call, may_answer)
    if may_call:
        assert each.caller_role == as_caller


# The file, as people write it


def line_of(each: Trusted) -> str:
    return f"{each.role} {each.name} {each.fingerprint} {encode_certificate(each.certificate)}"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_comments_blank_lines_and_any_spacing_are_fine(path: Path) -> None:
    line = line_of(device("laptop")).replace(" ", " \t ")
    written(path, f"# mine\n\n   \n  # more\n   {line}   \r\n")
    assert TrustStore(path).devices == (device("laptop"),)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("driver laptop", "a line is role, name, fingerprint and certificate, found 2 words"),
        (line_of(device("laptop")).replace("driver", "boss"), "a role is one of gateway, "),
        (line_of(device("laptop"))[:-4], "this is no certificate: "),
        (line_of(device("laptop")) + "!", "this is no certificate: "),
        ("driver laptop 00 AAAA", "this is no certificate: "),
        (
            line_of(device("laptop")).replace(
                device("laptop").fingerprint, device("x", number=1).fingerprint
            ),
            "'laptop' has fingerprint ",
        ),
        (line_of(device("first", number=1)), "the same name or certificate as 'first'"),
        (line_of(device("first", number=2)), "the same name or certificate as 'first'"),
        (line_of(device("second", number=1)), "the same name or certificate as 'first'"),
    ],
)
def test_a_line_that_is_wrong_is_named_with_what_is_wrong_in_it(path: Path, line: str, words: str) -> None:
    written(path, f"{line_of(device('first', number=1))}\n{line}\n")
    with pytest.raises(ConfigError, match=f"trusted:2: {words}"):
        TrustStore(path)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_file_that_others_can_change_is_refused_one_they_can_read_is_not(path: Path) -> None:
    written(path, line_of(device("laptop"))).chmod(0o644)
    assert TrustStore(path).devices
    path.chmod(0o664)
    with pytest.raises(ConfigError, match=r"can be changed by others \(mode 664\): chmod 600"):
        TrustStore(path)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_file_of_ours_is_for_its_owner_only(store: TrustStore, path: Path) -> None:
    store.add(device("laptop"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
def test_what_root_writes_for_a_daemon_belongs_to_the_daemon(store: TrustStore, path: Path) -> None:
    path.parent.mkdir()
    os.chown(path.parent, 65534, 65534)
    store.add(device("laptop"))
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
    assert [each.name for each in path.parent.iterdir()] == ["trusted"]


def test_any_certificate_survives_being_written_as_one_word() -> None:
    for certificate in CERTIFICATES:
        assert decode_certificate(encode_certificate(certificate)) == certificate


# Changes


def test_a_change_by_another_process_counts_after_refresh(store: TrustStore, path: Path) -> None:
    other = TrustStore(path)
    other.add(device("laptop"))
    assert not store.devices
    store.refresh()
    assert store.devices == (device("laptop"),)
    other.remove("laptop")
    store.refresh()
    assert not store.devices


def test_a_deleted_file_trusts_nobody_any_more(store: TrustStore, path: Path) -> None:
    store.add(device("laptop"))
    path.unlink()
    store.refresh()
    assert store.devices == ()


def test_the_version_grows_with_each_change_and_not_without(store: TrustStore, path: Path) -> None:
    versions = [store.version]
    store.add(device("laptop"))
    versions.append(store.version)
    path.write_text(path.read_text() + "# a note\n")
    store.refresh()
    assert store.version == versions[-1], "nobody came or went"
    store.remove("laptop")
    versions.append(store.version)
    assert versions == sorted(set(versions))


def test_a_file_that_breaks_while_it_is_in_use_is_logged_once_and_the_last_good_list_holds(
    store: TrustStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.add(device("laptop"))
    path.write_text(path.read_text() + "oops\n")
    for _ in range(3):
        store.refresh()
    assert caplog.text.count("trusted:5: a line is role") == 1
    assert "going by what it said before" in caplog.text
    assert store.devices == (device("laptop"),)
    written(path, "")
    store.refresh()
    assert not store.devices


def test_a_broken_file_is_not_overwritten(path: Path) -> None:
    store = TrustStore(path)
    written(path, "driver laptop\n")
    with pytest.raises(ConfigError, match="trusted:1: a line is role"):
        store.add(device("tablet", number=1))
    assert path.read_text() == "driver laptop\n"


@pytest.mark.slow
def test_changes_of_several_processes_at_once_are_all_kept(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pynet_core.keys import Identity\n"
        "from pynet_core.trust import Trusted, TrustStore\n"
        "for n in range(10):\n"
        "    TrustStore(Path(sys.argv[1])).add(\n"
        "        Trusted('viewer', sys.argv[2] + str(n), Identity.new().certificate))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    names = {each.name for each in TrustStore(path).devices}
    assert names == {f"{letter}{n}" for letter in "abcd" for n in range(10)}

"""What is remembered, and what happens where nothing can be."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.settings import MAX_PADS, MAX_ROBOTS, PadMapping, Robot, Settings, SettingsFile
from desktop_app.snapshot import save_snapshot

ALL = Settings(
    robots=(Robot(host="rover.local", port=1857, name="rover-7", board="Pi 4"),),
    theme="light",
    zoom=125,
    limit=0.8,
    panel_height=240.0,
    shows_left=False,
    pads={"03000000": PadMapping(curve=2.0)},
)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "deep" / "settings.json")
    assert file.save(ALL)
    assert SettingsFile(file.path).load() == ALL
    assert [path.name for path in file.path.parent.iterdir()] == ["settings.json"]


def test_no_file_is_the_defaults_and_no_trouble(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "settings.json")
    assert file.load() == Settings()
    assert file.trouble == ""


@pytest.mark.parametrize(
    "text", ["", "{", '{"zoom": 99}', '{"robots": [{"host": 1}]}', "[]", '{"limit": "x"}']
)
def test_a_broken_file_is_told_kept_aside_and_the_defaults_hold(tmp_path: Path, text: str) -> None:
    file = SettingsFile(tmp_path / "settings.json")
    file.path.write_text(text)
    assert file.load() == Settings()
    assert "defaults hold" in file.trouble
    assert (tmp_path / "settings.broken").read_text() == text


def test_a_later_versions_fields_are_ignored(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "settings.json")
    file.path.write_text('{"zoom": 150, "autopilot": {"x": 1}}')
    assert file.load() == Settings(zoom=150)


@given(st.binary(max_size=200))
def test_any_bytes_load_as_something(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = SettingsFile(tmp_path_factory.mktemp("any") / "settings.json")
    file.path.write_bytes(data)
    assert isinstance(file.load(), Settings)


def test_where_nothing_can_be_written_it_is_told_once_and_works_on(tmp_path: Path) -> None:
    blocker = tmp_path / "file"  # a file where the folder should be: this holds for root as well
    blocker.write_text("")
    file = SettingsFile(blocker / "settings.json")
    assert not file.save(ALL)
    first = file.trouble
    assert first.startswith("Settings are not remembered")
    assert not file.save(ALL)
    assert file.trouble == first


def test_an_interrupted_save_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SettingsFile(tmp_path / "settings.json")
    file.save(ALL)
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert not file.save(Settings())
    assert SettingsFile(file.path).load() == ALL
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_the_robot_used_last_is_first_and_known_once() -> None:
    settings = Settings()
    for i in range(2 * MAX_ROBOTS):
        settings = settings.with_robot(Robot(host=f"rover-{i}", port=1857))
    settings = settings.with_robot(Robot(host="rover-30", port=1857, name="new name"))
    assert len(settings.robots) == MAX_ROBOTS
    assert settings.robots[0].name == "new name"
    assert sum(robot.host == "rover-30" for robot in settings.robots) == 1


def test_pads_are_bounded_too() -> None:
    settings = Settings()
    for i in range(2 * MAX_PADS):
        settings = settings.with_pad(f"{i}", PadMapping())
    assert len(settings.pads) == MAX_PADS
    assert f"{2 * MAX_PADS - 1}" in settings.pads


AT = datetime(2026, 11, 22, 14, 3, 19, 123456)


def test_a_snapshot_is_the_frames_own_bytes(tmp_path: Path) -> None:
    path = save_snapshot(b"\xff\xd8jpeg", tmp_path / "Pictures", "rover-7", AT)
    assert path.read_bytes() == b"\xff\xd8jpeg"
    assert path.name == "rover-7-2026-11-22-140319-123.jpg"


def test_a_second_snapshot_in_the_same_millisecond_is_another_file(tmp_path: Path) -> None:
    first = save_snapshot(b"1", tmp_path, "rover-7", AT)
    second = save_snapshot(b"2", tmp_path, "rover-7", AT)
    assert first.read_bytes() == b"1"
    assert second.read_bytes() == b"2"


@given(st.text(max_size=80))
def test_a_robots_name_never_leaves_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("pictures")
    assert save_snapshot(b"", folder, name, AT).parent == folder


def test_a_folder_that_cannot_be_written_to_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        save_snapshot(b"", tmp_path / "file" / "Pictures", "rover-7", AT)


def test_two_windows_forget_none_of_each_other_s_robots(tmp_path: Path) -> None:
    """Two programs, one file: who was closed last had the only list, and the other's keys were gone."""
    one, other = (SettingsFile(tmp_path / "settings.json") for _ in range(2))
    mine, yours = one.load(), other.load()
    rover, truck = Robot(host="rover", port=1857, fingerprint="aa"), Robot(host="truck", port=1857)
    one.save(mine.with_robot(rover))
    other.save(yours.with_robot(truck))
    one.save(mine.with_robot(rover))
    assert set(SettingsFile(one.path).load().robots) == {rover, truck}
    one.save(mine)  # has forgotten its own
    assert SettingsFile(one.path).load().robots == (truck,)

"""The mapping files in use: found, read again when they change, refused when they turn bad."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from destination.errors import SettingsError
from destination.registry import DESTINATIONS
from destination.runtime.presets import Mappings, mapping_files

ACTIONS = DESTINATIONS["klaviyo"].actions
ENTRY: dict[str, object] = {
    "name": "m",
    "action": "trackEvent",
    "trigger": 'type = "track"',
    "fields": {
        "metric_name": {"@path": "$.event"},
        "profile": {"external_id": {"@path": "$.userId"}},
        "properties": {},
    },
}


def write(file: Path, name: str, *entries: dict[str, object]) -> None:
    """A mapping file."""
    file.write_text(json.dumps({"name": name, "mappings": list(entries)}))


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        """The moment."""
        return self.now


def test_a_changed_file_is_taken_over_and_a_bad_one_refused(tmp_path: Path) -> None:
    """At most a second later; of a problem there is one complaint."""
    clock, complaints = Clock(), list[str]()
    write(tmp_path / "a.json", "a", ENTRY)
    found = Mappings(tmp_path, ACTIONS, complain=complaints.append, clock=clock)
    assert list(found.routes()) == ["a/m"]
    write(tmp_path / "a.json", "a", ENTRY, {**ENTRY, "name": "n", "trigger": 'type = "page"'})
    assert list(found.routes()) == ["a/m"]
    clock.now = 1
    assert list(found.routes()) == ["a/m", "a/n"]
    (tmp_path / "a.json").write_text("{")
    for clock.now in (2, 3, 4):
        assert list(found.routes()) == ["a/m", "a/n"]
    assert len(complaints) == 1
    write(tmp_path / "a.json", "a", ENTRY)
    clock.now = 5
    assert list(found.routes()) == ["a/m"]
    assert found.problem == ""


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Neither silently takes the other's place."""
    write(tmp_path / "a.json", "same", ENTRY)
    write(tmp_path / "b.json", "same", ENTRY)
    with pytest.raises(SettingsError, match="both have a mapping 'same/m'"):
        Mappings(tmp_path, ACTIONS, complain=print)


def test_without_a_folder_the_shipped_files_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder too, the presets by the path that the documents give."""
    monkeypatch.chdir(tmp_path)
    assert [file.name for file in mapping_files(Path("mappings"))] == ["segment.json"]
    (preset,) = mapping_files(Path("mappings/presets/ecommerce.json"))
    assert preset.is_file()
    with pytest.raises(SettingsError, match="no mapping files at 'elsewhere'"):
        mapping_files(Path("elsewhere"))

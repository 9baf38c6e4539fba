"""``destination check``: verdicts, forms of report, rewriting, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result

from destination.cli import cli

ANN = {"type": "identify", "userId": "u-1", "traits": {"email": "ann@acme.io"}}
GOOD = {"name": "good", "event": ANN, "payload": {"email": "ann@acme.io"}}
BAD = {"name": "bad", "event": ANN, "payload": {"email": "ben@acme.io"}}

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder, with no setting from outside."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(env={"DESTINATION_MAPPINGS": None, "REDIS_URL": None})
    return lambda *arguments: runner.invoke(cli, ["check", *map(str, arguments)])


def write(path: Path, *examples: dict[str, Any], name: str = "f", **changes: Any) -> Path:
    """A file of one mapping with these examples."""
    mapping = {
        "name": "m",
        "action": "upsertProfile",
        "trigger": 'type = "identify"',
        "fields": {"email": {"@path": "$.traits.email"}},
        "examples": list(examples),
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": name, "mappings": [mapping]}, indent=2))
    return path


def test_files_that_hold_are_told_with_status_0(run: Run, tmp_path: Path) -> None:
    """A line for each file, and the sum."""
    found = run(write(tmp_path / "f.json", GOOD))
    assert found.exit_code == 0
    assert "f.json: 1 mapping, 1 example hold" in found.output
    assert "1 mapping in 1 file, 1 example hold, 0 do not, 0 errors" in found.output


def test_an_example_that_does_not_hold_is_a_diff_and_status_1(run: Run, tmp_path: Path) -> None:
    """With the mapping, the example and the lines that differ; the order of members is none."""
    found = run(write(tmp_path / "f.json", GOOD, BAD))
    assert found.exit_code == 1
    assert "FAILED" in found.output
    assert "f/m: example 'bad': payload differs" in found.output
    assert '-  "email": "ben@acme.io"' in found.output
    assert '+  "email": "ann@acme.io"' in found.output


def test_an_event_that_is_refused_says_why(run: Run, tmp_path: Path) -> None:
    """The reason's words stand beside its code."""
    example = {"name": "nobody", "event": {"type": "identify"}, "payload": {}}
    found = run(write(tmp_path / "f.json", example))
    assert "refused differs: not refused, is missing_identifier (none of" in found.output


def test_a_broken_mapping_is_an_error_and_status_1(run: Run, tmp_path: Path) -> None:
    """A warning alone is none."""
    found = run(write(tmp_path / "f.json", GOOD, action="upsertprofile"))
    assert found.exit_code == 1
    assert "1 error" in found.output
    warned = run(write(tmp_path / "f.json", trigger='type = "Identify"'))
    assert warned.exit_code == 0
    assert "warning: matches no event" in warned.output


def test_a_folder_means_every_file_in_it(run: Run, tmp_path: Path) -> None:
    """At any depth, each once."""
    write(tmp_path / "maps" / "a.json", GOOD, name="a")
    write(tmp_path / "maps" / "presets" / "b.json", GOOD, name="b")
    found = run(tmp_path / "maps", tmp_path / "maps" / "a.json")
    assert "2 mappings in 2 files" in found.output
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty").exit_code == 2
    assert run(tmp_path / "nowhere").exit_code == 2


def test_without_files_the_mappings_in_use_are_checked(run: Run, tmp_path: Path) -> None:
    """Those directly in the folder."""
    write(tmp_path / "mappings" / "a.json", GOOD, name="a")
    write(tmp_path / "mappings" / "presets" / "b.json", BAD, name="b")
    found = run()
    assert found.exit_code == 0
    assert "1 mapping in 1 file" in found.output


def test_two_files_must_not_have_the_same_name(run: Run, tmp_path: Path) -> None:
    """One's mappings would take the place of the other's."""
    write(tmp_path / "mappings" / "a.json", name="same")
    write(tmp_path / "mappings" / "b.json", name="same")
    for arguments in ((), (tmp_path / "mappings",)):
        found = run(*arguments)
        assert found.exit_code == 1
        assert "a.json has a mapping of this name too" in found.output


def test_mappings_in_use_that_send_one_event_twice_are_warned_of(run: Run, tmp_path: Path) -> None:
    """Not files that are only checked: they may be alternatives."""
    write(tmp_path / "mappings" / "a.json", GOOD, name="a")
    write(tmp_path / "mappings" / "b.json", GOOD, name="b", trigger="traits.email != null")
    found = run()
    assert found.exit_code == 0
    assert "a/m and b/m both send the event of the example" in found.output
    assert "both send" not in run(tmp_path / "mappings").output


def test_updating_rewrites_what_differs(run: Run, tmp_path: Path) -> None:
    """Then everything holds; a second time there is nothing to do."""
    file = write(tmp_path / "f.json", GOOD, {**BAD, "requests": []})
    found = run(file, "--update")
    assert found.exit_code == 0
    assert "1 file rewritten" in found.output
    assert run(file).exit_code == 0
    before = file.read_bytes()
    assert "0 files rewritten" in run(file, "--update").output
    assert file.read_bytes() == before


def test_updating_leaves_broken_files_alone(run: Run, tmp_path: Path) -> None:
    """And what it may not decide stays wrong."""
    file = write(tmp_path / "f.json", BAD, trigger="nonsense")
    before = file.read_bytes()
    assert run(file, "--update").exit_code == 1
    assert file.read_bytes() == before
    skipped = {"name": "s", "event": ANN, "skipped": True}
    assert run(write(tmp_path / "f.json", skipped), "--update").exit_code == 1


def test_json_tells_programs_the_same(run: Run, tmp_path: Path) -> None:
    """Files, problems and failures."""
    file = write(tmp_path / "f.json", GOOD, BAD)
    said = json.loads(run(file, "--format", "json").output)
    (of_file,) = said["files"]
    assert of_file == {
        "file": str(file),
        "ok": False,
        "mappings": ["f/m"],
        "passed": 1,
        "failed": 1,
        "errors": 0,
    }
    (failure,) = said["failures"]
    assert (failure["mapping"], failure["example"], failure["what"]) == ("f/m", "bad", "payload")
    assert failure["expected"] == {"email": "ben@acme.io"}
    assert said["passed"] == 1


def test_junit_has_a_case_for_every_example(run: Run, tmp_path: Path) -> None:
    """And one for each file; the numbers in its heads are right."""
    good = write(tmp_path / "good.json", GOOD)
    bad = write(tmp_path / "bad.json", GOOD, BAD, name="b")
    broken = write(tmp_path / "broken.json", GOOD, name="c", action="\x01&<none>")
    found = run(good, bad, broken, "--format", "junit")
    assert found.exit_code == 1
    root = ET.fromstring(found.output)
    assert root.attrib["tests"] == str(len(list(root.iter("testcase")))) == "6"
    assert root.attrib["failures"] == str(len(list(root.iter("failure")))) == "1"
    assert root.attrib["errors"] == str(len(list(root.iter("error")))) == "1"
    (failure,) = root.iter("failure")
    assert "ben@acme.io" in (failure.text or "")
    names = {(case.attrib["classname"], case.attrib["name"]) for case in root.iter("testcase")}
    assert ("b/m", "bad") in names
    assert (str(good), "can be used") in names


def test_the_schema_is_printed(run: Run, tmp_path: Path) -> None:
    """Without any settings or files."""
    schema = json.loads(run("--schema").output)
    jsonschema_rs.meta.validate(schema)
    file = write(tmp_path / "f.json", GOOD)
    assert jsonschema_rs.is_valid(schema, json.loads(file.read_bytes()))


def test_the_published_schema_is_the_current_one(run: Run) -> None:
    """`destination check --schema > docs/mapping.schema.json` brings it up to date."""
    published = Path(__file__).parents[3] / "docs" / "mapping.schema.json"
    assert json.loads(published.read_bytes()) == json.loads(run("--schema").output)

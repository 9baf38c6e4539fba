"""Files of rows through the real processes: loaded, corrected, stopped, loaded again."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.stack import KEY, Stack, until
from tests.acceptance.warehouse import run, start, warehouse
from tests.contract.openapi import Contract, assert_requests_valid

MAPPING = {
    "object": "profile",
    "mapped_fields": [
        {
            "origin_field": "E-Mail",
            "destination_field": "email",
            "convert_function": "trim | lower",
        },
        {"origin_field": "Name", "destination_field": "first_name"},
        {"origin_field": "City", "destination_field": "city", "convert_function": "default(Bonn)"},
        {"origin_field": "Age", "destination_field": "age", "convert_function": "to_integer"},
    ],
}


@pytest.fixture
def stack(described: Contract | None) -> Iterator[Stack]:
    """An installation for rows; what it asks Klaviyo is valid against Klaviyo's description."""
    with warehouse() as found:
        yield found
        if described:
            assert_requests_valid(described, found.requests())


def emails(stack: Stack) -> Counter[str]:
    """Who is at Klaviyo."""
    return Counter(each["email"] for each in stack.held()["profiles"])


def loaded(stack: Stack, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Load a file: status and summary."""
    status, out, err = run(stack, "rows", "--server", stack.server, "--format", "json", *arguments)
    assert out, err
    return status, json.loads(out)


def test_a_file_is_loaded_and_its_bad_rows_can_be_corrected(stack: Stack) -> None:
    """An export of Excel, its columns mapped and converted; rejected rows come back mended."""
    (stack.folder / "mapping.json").write_text(json.dumps(MAPPING))
    lines = ["E-Mail;Name;City;Age;Secret"]
    lines += [f" Person{each}@Acme.io;Jürgen;;{each};s" for each in range(1500)]
    lines += ["bad@acme.io;=HYPERLINK(1);Köln;old;s", "short@acme.io;Ann"]
    file = stack.folder / "people.csv"
    file.write_bytes("\r\n".join(lines).encode("utf-8-sig"))

    status, said = loaded(stack, "people.csv", "--mapping", "mapping.json")
    assert status == 1
    assert (said["rows"], said["stored"], said["rejected"]) == (1502, 1500, 2)
    assert [each["code"] for each in said["reasons"]] == [
        "conversion_failed",
        "wrong_number_of_cells",
    ]
    rejects = stack.folder / "people.rejected.csv"
    text = rejects.read_text("utf-8-sig")
    assert text.splitlines()[0].endswith("rejected_line,rejected_code,rejected_message")
    assert "'=HYPERLINK(1)" in text
    assert list((stack.folder / ".destination" / "loads").glob("*.json")) == []

    mended = text.replace(",old,", ",33,").replace("short@acme.io,Ann,,,", "short@acme.io,Ann,,8,")
    rejects.write_text(mended, "utf-8-sig")
    status, said = loaded(stack, "people.rejected.csv", "--mapping", "mapping.json")
    assert (status, said["stored"]) == (0, 2)

    counts = stack.settle()
    assert counts["connections"]["default"]["delivered"] == 1502
    people = {each["email"]: each for each in stack.held()["profiles"]}
    assert len(people) == 1502
    assert people["person7@acme.io"]["properties"] == {"age": 7}
    assert people["person7@acme.io"]["location"]["city"] == "Bonn"
    assert people["bad@acme.io"]["first_name"] == "=HYPERLINK(1)"
    assert people["bad@acme.io"]["location"]["city"] == "Köln"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_load_that_is_stopped_goes_on_and_no_row_counts_twice(
    stack: Stack, number: signal.Signals
) -> None:
    """By Ctrl-C and by kill -9."""
    rows: list[dict[str, Any]] = [
        {"email": f"p{each}@acme.io", "metric_name": "Visited"} for each in range(300)
    ]
    rows += [rows[0], {"metric_name": "Visited", "email": "p0@acme.io"}]
    rows.insert(7, {"metric_name": ["no"], "email": 5, "_op": "nonsense"})
    (stack.folder / "visits.ndjson").write_text("\n".join(map(json.dumps, rows)))
    command = ("rows", "visits.ndjson", "--object", "event", "--server", stack.server)
    process = start(stack, *command, "--chunk-size", "25", "--chunk-waiting-time", "0.3")
    saved = stack.folder / ".destination" / "loads"
    until(lambda: _line(saved) >= 50, 20, "the load does not come forward")
    process.send_signal(number)
    _out, err = process.communicate(timeout=15)
    assert process.returncode == (130 if number is signal.SIGINT else -9), err
    assert _line(saved) < 303

    status, out, err = run(stack, *command, "--format", "json")
    said = json.loads(out)
    assert (status, said["rows"], said["rejected"]) == (1, 303, 1), err
    assert said["duplicate"] <= 25
    assert "going on behind line" in err
    text = (stack.folder / "visits.rejected.csv").read_text("utf-8-sig")
    assert text.count("unknown_operation") == 1
    stack.settle()
    assert len(stack.held()["events"]) == 302


def _line(folder: Path) -> int:
    found = [json.loads(file.read_bytes())["line"] for file in folder.glob("*.json")]
    return max(found, default=0)


def test_a_file_loaded_twice_counts_once_unless_it_is_meant(stack: Stack) -> None:
    """By what it holds, whatever its name."""
    body = "email,first_name\na@acme.io,A\nb@acme.io,B\n"
    (stack.folder / "one.csv").write_text(body)
    (stack.folder / "two.csv").write_text(body)
    assert loaded(stack, "one.csv")[1]["stored"] == 2
    status, said = loaded(stack, "two.csv")
    assert (status, said["stored"], said["duplicate"]) == (0, 0, 2)
    assert loaded(stack, "one.csv", "--again")[1]["stored"] == 2


def test_a_load_waits_for_a_server_that_comes_back(stack: Stack) -> None:
    """It is killed in the middle and started again."""
    lines = [f"p{each}@acme.io,P" for each in range(400)]
    (stack.folder / "people.csv").write_text("\n".join(["email,first_name", *lines]))
    command = ("rows", "people.csv", "--server", stack.server, "--chunk-size", "20")
    process = start(stack, *command, "--chunk-waiting-time", "0.1", "--format", "json")
    until(lambda: _line(stack.folder / ".destination" / "loads") > 60, 20, "no progress")
    stack.kill("serve")
    stack.start("serve")
    out, err = process.communicate(timeout=50)
    assert process.returncode == 0, err
    said = json.loads(out)
    assert said["rows"] == said["stored"] + said["duplicate"] == 400
    stack.settle()
    assert emails(stack) == Counter(f"p{each}@acme.io" for each in range(400))


def test_the_bar_tells_how_far_a_load_is(stack: Stack) -> None:
    """On a terminal: the share of the lines that have their end, the pace, and the time left."""
    lines = [f"p{each}@acme.io,P" for each in range(1000)]
    (stack.folder / "people.csv").write_text("\n".join(["email,first_name", *lines]))
    ours, theirs = pty.openpty()
    command = ("rows", "people.csv", "--server", stack.server, "--chunk-size", "100")
    process = start(stack, *command, stderr=theirs)
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b"")).decode()
    process.communicate(timeout=50)
    os.close(ours)
    assert process.returncode == 0, shown
    told = re.findall(r"(\d+)%  ([\d,]+) rows, [\d,]+/s, \d+:\d\d left", shown)
    assert [rows for _, rows in told] == [f"{rows:,}" for rows in range(100, 1001, 100)]
    assert [int(share) // 10 for share, _ in told] == list(range(1, 11))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other side has closed it
        return b""


def test_a_dry_run_posts_nothing_and_mistakes_are_sentences(stack: Stack) -> None:
    """Status 2 for wrong use, with what to do."""
    (stack.folder / "people.csv").write_text("email,age\na@acme.io,x\nb@acme.io,7\n")
    fields = [{"origin_field": "age", "destination_field": "age", "convert_function": "to_integer"}]
    (stack.folder / "mapping.json").write_text(json.dumps({"mapped_fields": fields}))
    status, out, _err = run(stack, "rows", "people.csv", "--mapping", "mapping.json", "--dry-run")
    assert status == 1
    assert "2 rows: 1 can be posted, 1 rejected" in out
    assert "line 2: conversion_failed" in out
    assert stack.counts()["sources"] == {} or not stack.counts()["sources"]["default"]["received"]
    assert not (stack.folder / "people.rejected.csv").exists()

    fields[0]["origin_field"] = "Alter"
    (stack.folder / "mapping.json").write_text(json.dumps({"mapped_fields": fields}))
    (stack.folder / "double.csv").write_text("a,a\n1,2\n")
    for arguments, words in (
        (("people.csv", "--mapping", "mapping.json"), "no column 'Alter'"),
        (("double.csv",), "both called 'a'"),
        (("people.csv", "--server", "http://127.0.0.1:1"), "no server answers"),
        (("people.csv", "--server", stack.server, "--key", "wrong"), "401"),
        (("people.csv", "--operation", "explode"), "'explode' is unknown"),
    ):
        status, _out, err = run(stack, "rows", *arguments)
        assert status == 2, err
        assert words in err


def test_an_upload_of_any_length_is_one_request(stack: Stack) -> None:
    """Streamed; rows and their ends are as those of other requests."""
    body = (
        line.encode()
        for line in ("email,first_name\n", *(f"p{each}@acme.io,P\n" for each in range(3000)))
    )
    answer = stack.http.post(
        f"{stack.server}/rows/profile/upload",
        content=body,
        headers={"X-Write-Key": KEY, "content-type": "text/csv"},
    )
    assert answer.json()["accepted"] == 3000
    stack.settle()
    assert len(emails(stack)) == 3000


def test_an_estimate_tells_every_way(tmp_path: Path) -> None:
    """Of a number and of a file, without a server."""

    def estimate(*arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "destination", "estimate", *arguments, "--format", "json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    said = estimate("1000000", "--row-bytes", "250")
    assert [(way["way"], way["seconds"]) for way in said["ways"]] == [
        ("bulk", 9.0),
        ("single", 79_983.0),
    ]
    assert said["files"] == {"count": 3, "bytes": 250_000_000}
    (tmp_path / "people.csv").write_text("email,plan\n" + "person@acme.io,pro\n" * 20_000)
    found = estimate("people.csv", "--object", "list/XyZ123")
    assert (found["action"], found["rows"], found["row_bytes"]) == ("addProfileToList", 20_000, 40)
    assert found["ways"][0]["operations"][0]["calls"] == 2

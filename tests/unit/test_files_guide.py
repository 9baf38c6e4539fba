"""The guide to files: its table of conversions and its mapping are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from destination.event import encode
from destination.ingress.columns import read_columns
from destination.ingress.conversions import ABSENT, CONVERSIONS, Example

GUIDE = Path(__file__).parents[2] / "docs" / "files.md"


def shown(example: Example) -> str:
    """An example as the table shows it."""
    given = "empty" if example.given is ABSENT else f"`{encode(example.given).decode()}`"
    text = f"`{example.call}`: {given} → `{encode(example.gives).decode()}`"
    return text.replace("|", "\\|")


def rows() -> str:
    """The lines of the table, one for each conversion."""
    return "".join(
        f"| `{each.name}` | {each.description} | {each.argument} |"
        f" {'<br>'.join(map(shown, each.examples))} |\n"
        for each in CONVERSIONS.values()
    )


def test_the_table_of_conversions_is_that_of_the_code() -> None:
    """A failure shows the lines to put there."""
    text = GUIDE.read_text("utf-8")
    found = re.search(r"<!-- conversions -->\n.*\n.*\n(?P<rows>(?:\|.*\n)*)<!-- end -->", text)
    assert found
    assert found["rows"] == rows()


def test_the_mapping_in_the_guide_can_be_used() -> None:
    """With every row that has its columns."""
    found = re.search(r"<!-- mapping -->\n```json\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert found
    columns = read_columns(json.loads(found[1]))
    assert columns.row({"E-Mail": " A@b.io", "Phone": "415-555-2671", "Joined": "31.01.2026"}) == {
        "email": "a@b.io",
        "phone_number": "+14155552671",
        "joined": "2026-01-31",
        "location": {"city": "Bonn"},
    }

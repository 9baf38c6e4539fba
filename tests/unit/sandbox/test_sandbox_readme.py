"""README.md of the sandbox names every switch and command."""

from __future__ import annotations

import re
from importlib.resources import files

from destination.sandbox.control import COMMANDS
from destination.sandbox.switches import Switches


def test_every_switch_and_command_is_documented() -> None:
    """And no others."""
    text = files("destination.sandbox").joinpath("README.md").read_text()
    table = text.partition("## Switches")[2]
    first_cells = "".join(re.findall(r"^\| (`.+?) \|", table, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", first_cells)) == set(Switches().state())
    for command in COMMANDS:
        verb, path = ("DELETE", "faults") if command == "faults/clear" else ("POST", command)
        assert f"`{verb} /sandbox/{path}" in text, command

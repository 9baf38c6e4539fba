"""The catalogue explains every code that the program can give."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import destination
from destination.catalogue import CATALOGUE, remedy
from destination.klaviyo.codes import CODES
from destination.klaviyo.verdict import verdict
from tests.unit.klaviyo.klaviyo_script import refusal

SOURCES = sorted(
    path
    for path in Path(destination.__file__).parent.rglob("*.py")
    if "sandbox" not in path.parts  # an imitation of Klaviyo, it has no outcomes
)
MAKERS = {"discard", "halt", "retry", "dropped", "delivered", "transient"}
CODE = re.compile(r"[a-z]+(_[a-z]+)*")


def codes(tree: ast.AST) -> Iterator[str]:
    """Constants that are the code of an outcome: first text argument of what makes one, or what a
    variable of that name is set to.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id == "code" for each in node.targets
        ):
            found = texts(node.value)
            # With a branch that is no text the other one is a stopgap, not a code.
            whole = len(found) == (2 if isinstance(node.value, ast.IfExp) else 1)
            yield from found if whole else []
        if isinstance(node, ast.Call):
            function = node.func
            if getattr(function, "id", "") == "replace":  # an outcome that gets another code
                said = [text for k in node.keywords if k.arg == "code" for text in texts(k.value)]
                yield from filter(None, said)
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            if name.strip("_").lower() in MAKERS:
                places = [
                    *node.args[:2],
                    *(each.value for each in node.keywords if each.arg == "code"),
                ]
                yield from next(filter(None, map(texts, places)), [])


def texts(node: ast.expr) -> list[str]:
    """The texts that an expression may give, as far as they stand in it."""
    branches = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
    return [
        each.value
        for each in branches
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]


def test_the_scan_finds_codes() -> None:
    """It reads calls, keyword arguments and conditions."""
    text = 'Discard("a", m); Retry(code="b"); _halt("c"); discard(r, "d"); Retry("e" if x else "f")'
    text += '; replace(outcome, code="i")'
    assert set(codes(ast.parse(f'{text}; code = "g" if x else "h"'))) == set("abcdefghi")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_code_in_the_source_is_explained(path: Path) -> None:
    """A new code needs its cause and remedy."""
    unexplained = set(codes(ast.parse(path.read_text()))) - CATALOGUE.keys()
    assert not unexplained


def test_every_entry_is_written_for_a_person() -> None:
    """Codes are words, causes are sentences."""
    for code, reason in CATALOGUE.items():
        assert CODE.fullmatch(code)
        assert reason.cause.endswith(".")
        assert not reason.remedy or reason.remedy.endswith(".")


def test_every_code_of_klaviyo_comes_to_what_the_table_says() -> None:
    """With each status that it comes with."""
    for code, each in CODES.items():
        assert each.outcome in CATALOGUE
        assert each.cause.endswith(".")
        assert each.remedy.endswith(".")
        for status in each.statuses:
            outcome = verdict(refusal(status, code=code), 0.0)
            same = {each.outcome, "identity_conflict"} if status == 409 else {each.outcome}
            assert getattr(outcome, "code", "") in same


def test_every_code_of_the_sandbox_is_known() -> None:
    """It writes what Klaviyo is known to write; a fault of a status without words says "error"."""
    folder = Path(destination.__file__).parent / "sandbox"
    said = {
        text
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "code"
        for text in texts(node.value)
    }
    assert len(said) > 5
    assert said <= CODES.keys() | {"error"}


def test_what_to_do_is_found_by_code() -> None:
    """An unknown code has no advice."""
    assert "KLAVIYO_API_KEY" in remedy("key_refused")
    assert remedy("no_such_code") == ""

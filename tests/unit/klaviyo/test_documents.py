"""The documentation says what the records say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

import destination
from destination.klaviyo import KLAVIYO
from destination.klaviyo.limits import BODY_BYTES, BULK, UNIQUE_ID
from destination.refusals import REFUSALS
from tests.unit.klaviyo.documents import DOCS, PARTS, filled

SOURCES = sorted(
    path
    for path in Path(destination.__file__).parent.rglob("*.py")
    if not {"sandbox", "klaviyo"} & set(path.parts)
)
MAKERS = {"Rejected", "Malformed", "Trouble", "_refused"}


def codes(tree: ast.AST) -> Iterator[str]:
    """Constants that are the code of a refusal: the first text among the arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS:
            named = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
            yield from [each for each in named if isinstance(each, str)][:1]


@pytest.mark.parametrize("document", PARTS)
def test_what_is_made_from_records_is_in_step(document: str) -> None:
    """`python -m tests.unit.klaviyo.documents` brings it up to date."""
    assert (DOCS / document).read_text() == filled(document)


def test_the_scan_finds_codes() -> None:
    """It reads calls that refuse a request or a part of it."""
    text = 'Rejected(400, "a", m); Malformed("b", m); Trouble("c", "d"); _refused("e", "f")'
    assert set(codes(ast.parse(text))) == {"a", "b", "c", "e"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_refusal_in_the_source_is_explained(path: Path) -> None:
    """A new code needs its entry in destination/refusals.py."""
    unexplained = set(codes(ast.parse(path.read_text()))) - REFUSALS.keys()
    assert not unexplained


def test_every_refusal_is_written_for_a_person() -> None:
    """Codes are words, causes and remedies sentences, statuses those of HTTP."""
    for code, each in REFUSALS.items():
        assert re.fullmatch("[a-z_]+", code)
        assert each.cause.endswith(".")
        assert each.remedy.endswith(".")
        assert each.status == 0 or HTTPStatus(each.status) >= HTTPStatus.BAD_REQUEST


def test_the_figures_in_the_text_are_those_in_use() -> None:
    """Where a sentence gives one."""
    text = (DOCS / "klaviyo.md").read_text()
    assert f"a `unique_id` {UNIQUE_ID}" in re.sub(r"\s+", " ", text)
    assert BODY_BYTES < 5_000_000
    assert all(each.bytes < 5_000_000 for each in BULK.values())
    assert all(f"### `{name}`" in text for name in KLAVIYO.actions)

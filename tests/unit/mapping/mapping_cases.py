"""Segment's recorded mapping cases: how they are run here, and where we answer otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from destination.errors import MappingError
from destination.mapping import MISSING, compile_mapping
from destination.mapping.budget import Budget
from destination.mapping.compiler import Compiler, Site
from destination.mapping.directive import ROOT_DIRECTIVE
from destination.mapping.directives import DIRECTIVES
from destination.mapping.flat import as_function
from destination.mapping.javascript import is_number

REFUSED = object()
"""Stands for a ``MappingError``."""


def parametrize(metafunc: pytest.Metafunc, file: str) -> None:
    """One test for each case of ``file``, in the folder that ``--vectors`` names."""
    folder: Path = metafunc.config.getoption("--vectors")
    cases = json.loads((folder / file).read_text())
    metafunc.parametrize("case", cases, ids=[case["id"] for case in cases])


def answer(case: dict[str, Any]) -> Any:
    """What we give for ``case``."""
    try:
        resolve = compile_mapping(case["mapping"])
        return batch(case) if case.get("batch") else resolve(case["data"])
    except MappingError:
        return REFUSED


def batch(case: dict[str, Any]) -> Any:
    """A batch is its events one by one. Segment does not look at the type of a batch's events,
    ``resolve`` does, so the compiled plan is called directly.
    """
    if not isinstance(case["data"], list):
        pytest.skip("there is no batch form of resolve that could be given anything but events")
    compiler = Compiler(DIRECTIVES)
    resolve = as_function(compiler.root(case["mapping"], Site(compiler)))
    return filled([resolve(event, Budget()) for event in case["data"]])


def filled(result: Any) -> Any:
    """The result with null for what is missing in a list, as in JSON."""
    if isinstance(result, dict):
        return {key: filled(member) for key, member in result.items()}
    if isinstance(result, list):
        return [None if item is MISSING else filled(item) for item in result]
    return result


def expected(case: dict[str, Any]) -> Any:
    """What Segment gave."""
    if case.get("error"):
        return REFUSED
    return MISSING if case.get("expected_undefined") else case["expected"]


def same(ours: Any, theirs: Any) -> bool:
    """Equal as JSON: 1 is 1.0, but true is not 1. Numbers were recorded as doubles."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if is_number(ours) and is_number(theirs):
        return float(ours) == float(theirs)
    return isinstance(ours, bool) == isinstance(theirs, bool) and bool(ours == theirs)


def options_of(name: str, tree: Any) -> Iterator[Any]:
    """The options of every directive ``name`` in ``tree``."""
    if isinstance(tree, dict):
        if name in tree:
            yield tree[name]
        for part in tree.values():
            yield from options_of(name, part)
    elif isinstance(tree, list):
        for part in tree:
            yield from options_of(name, part)


def _misspells_an_option(case: dict[str, Any]) -> bool:
    words = [
        options.get(word, right[0])
        for name, word, right in (
            ("@merge", "direction", _DIRECTIONS),
            ("@json", "mode", _MODES),
        )
        for options in options_of(name, case["mapping"])
        if isinstance(options, dict)
    ]
    return any(word not in (*_DIRECTIONS, *_MODES) for word in words)


_DIRECTIONS, _MODES = ("left", "right"), ("encode", "decode")


def _decodes_what_no_json_can_hold(case: dict[str, Any]) -> bool:
    text = json.dumps([case["mapping"], case["data"]])
    return "decode" in text and bool(re.search(r"\\ud[89a-f]|[0-9][eE]\+?[0-9]{3}", text))


def _inserts_with_three_braces(case: dict[str, Any]) -> bool:
    return "{{{" in json.dumps([case["mapping"], case["data"]])


def _has_characters_beyond_the_first_plane(case: dict[str, Any]) -> bool:
    return any(character > "\uffff" for character in json.dumps(case["data"], ensure_ascii=False))


def _has_a_root_directive(case: dict[str, Any]) -> bool:
    return isinstance(case["mapping"], dict) and ROOT_DIRECTIVE in case["mapping"]


def _has_large_integers(case: dict[str, Any]) -> bool:
    return bool(re.search(r"\d{16}", json.dumps([case["mapping"], case["data"]])))


DEVIATIONS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "a mapping is an object": lambda case: not isinstance(case["mapping"], dict),
    "what is inserted is not a template": _inserts_with_three_braces,
    "direction and mode may be in capitals": _misspells_an_option,
    "`@json` decodes what can be sent on": _decodes_what_no_json_can_hold,
    "a character is never cut in half": _has_characters_beyond_the_first_plane,
    "fields beside a root directive are checked": _has_a_root_directive,
    "nothing is nothing": lambda case: any(options_of("@transform", case["mapping"])),
    "integers keep their digits": _has_large_integers,
}
"""Where we answer otherwise than Segment on purpose (``docs/mapping.md``), by rule. A rule only
ever excuses a case that is tagged as a quirk or a weakness."""

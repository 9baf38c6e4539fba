"""The reference of directives in ``docs/mapping.md``, from the directives' own records."""

from __future__ import annotations

import json

from destination.mapping.directive import Example
from destination.mapping.directives import DIRECTIVES
from destination.mapping.missing import MISSING


def directive_reference() -> str:
    """Markdown: for every directive what it does and its examples, which the tests run."""
    sections = []
    for directive in DIRECTIVES.values():
        examples = "\n\n".join(map(_example, directive.examples))
        sections.append(f"### `{directive.name}`\n\n{directive.description}\n\n{examples}\n")
    return "\n".join(sections)


def _example(example: Example) -> str:
    result = "nothing" if example.result is MISSING else f"`{_json(example.result)}`"
    mapping = json.dumps(example.mapping, ensure_ascii=False, indent=2)
    return f"```json\n{mapping}\n```\n\nof `{_json(example.event)}` gives {result}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

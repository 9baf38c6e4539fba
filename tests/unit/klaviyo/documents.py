"""The parts of the documentation that are made from records; as a program it writes them anew::

python -m tests.unit.klaviyo.documents
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

from destination.catalogue import SECTIONS
from destination.klaviyo.codes import CODES, KlaviyoCode
from destination.klaviyo.reference import (
    action_reference,
    limit_reference,
    revision_reference,
    table,
)
from destination.refusals import REFUSALS, Refusal

DOCS = Path(__file__).parents[3] / "docs"


def outcomes() -> str:
    """Every code of an outcome, by what happens to the delivery."""
    return "\n".join(
        f"### {title}\n\n"
        + table(
            ("code", "cause", "what to do"),
            ((f"`{code}`", each.cause, each.remedy) for code, each in section.items()),
        )
        for title, section in SECTIONS.items()
    )


def answers() -> str:
    """Every code that Klaviyo itself is known to write."""
    return table(
        ("Klaviyo's code", "status", "comes to", "cause", "what to do"),
        (
            (f"`{code}`", ", ".join(map(str, each.statuses)), f"`{each.outcome}`", *_words(each))
            for code, each in CODES.items()
        ),
    )


def _words(each: KlaviyoCode) -> tuple[str, str]:
    return each.cause, each.remedy


def refusals() -> str:
    """Every code with which a caller is refused, by what is refused."""
    whole = {code: each for code, each in REFUSALS.items() if each.status}
    one = {code: each for code, each in REFUSALS.items() if not each.status}
    return (
        "### A whole request\n\n"
        + table(("status", "code", "cause", "what to do"), _refusals(whole))
        + "\n### One event or row of a request\n\n"
        + table(("code", "cause", "what to do"), (row[1:] for row in _refusals(one)))
    )


def _refusals(some: dict[str, Refusal]) -> Iterator[tuple[str, str, str, str]]:
    for code, each in some.items():
        named = f"{each.status} {HTTPStatus(each.status).phrase}" if each.status else ""
        yield named, f"`{code}`", each.cause, each.remedy


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "errors.md": {"outcomes": outcomes, "answers": answers, "refusals": refusals},
    "klaviyo.md": {
        "actions": action_reference,
        "operations": limit_reference,
        "revisions": revision_reference,
    },
}
"""Document -> part -> what makes it."""


def ends(part: str) -> tuple[str, str]:
    """What stands before and after a part in its document."""
    return f"<!-- {part}: made from the records -->", f"<!-- end of {part} -->"


def filled(document: str) -> str:
    """The document as it should be. Raises ``ValueError`` where a part has no place in it."""
    text = (DOCS / document).read_text()
    for part, make in PARTS[document].items():
        start, end = ends(part)
        before, _, rest = text.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{document} has no place for {part}")
        text = f"{before}{start}\n\n{make()}\n{end}{after}"
    return text


if __name__ == "__main__":
    for name in PARTS:
        (DOCS / name).write_text(filled(name))

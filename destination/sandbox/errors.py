"""Errors as Klaviyo writes them: one envelope, several problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of ``errors``; ``pointer`` names a place in the body, ``parameter`` one in the query."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    code: str = "invalid"
    title: str = "Invalid input."
    meta: Mapping[str, Any] = field(default_factory=dict)


class Refused(Exception):
    """The request is answered with ``status`` and these problems; nothing was changed."""

    def __init__(
        self,
        status: int,
        problems: Problem | Sequence[Problem],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        self.headers = dict(headers or {})
        super().__init__(f"{status}: {self.problems[0].detail}")


def invalid(detail: str, pointer: str | None = None, parameter: str | None = None) -> Refused:
    """A 400 with one problem."""
    return Refused(400, Problem(detail, pointer, parameter))


def not_found(kind: str, identifier: str) -> Refused:
    """A 404: no ``kind`` (``profile``, ``list`` ...) has that id."""
    return Refused(
        404,
        Problem(
            f"A {kind} with id {identifier[:100]} does not exist.",
            code="not_found",
            title="Not found.",
        ),
    )


def duplicate_profile(identifier: str, pointer: str = "/data/attributes") -> Refused:
    """A 409: the identifiers belong to the profile ``identifier``."""
    return Refused(
        409,
        Problem(
            "A profile already exists with one of these identifiers.",
            pointer,
            code="duplicate_profile",
            title="Conflict.",
            meta={"duplicate_profile_id": identifier},
        ),
    )


def conflict(detail: str, pointer: str = "/data/attributes") -> Refused:
    """A 409 about anything but profiles."""
    return Refused(409, Problem(detail, pointer, code="conflict", title="Conflict."))


def envelope(status: int, problems: Sequence[Problem], ids: Sequence[str]) -> dict[str, Any]:
    """The body of an error answer; ``ids`` holds one UUID for each problem."""
    return {
        "errors": [
            {
                "id": identifier,
                "status": status,
                "code": problem.code,
                "title": problem.title,
                "detail": problem.detail,
                "source": _source(problem),
                "links": {},
                "meta": dict(problem.meta),
            }
            for problem, identifier in zip(problems, ids, strict=True)
        ]
    }


def _source(problem: Problem) -> dict[str, str]:
    if problem.parameter is not None:
        return {"parameter": problem.parameter}
    return {"pointer": problem.pointer if problem.pointer is not None else "/data/"}

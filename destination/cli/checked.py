"""Mapping files, checked: what is wrong with each and which of its examples hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from destination.action import Destination
from destination.cli.shown import count, difference
from destination.mapping.file import Mapping, read_mapping_file
from destination.mapping.problem import Problem
from destination.preview import Ran, overlaps, run_examples


@dataclass(frozen=True, slots=True)
class Checked:
    """One file: its usable mappings, all that is wrong with it, and its examples, run."""

    file: Path
    mappings: Sequence[Mapping]
    problems: Sequence[Problem]
    ran: Sequence[Ran]

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep mappings from being used."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def failed(self) -> list[Ran]:
        """The examples that do not hold."""
        return [each for each in self.ran if each.failures]

    @property
    def sound(self) -> bool:
        """Whether the file can be used and does what its examples say."""
        return not (self.errors or self.failed)


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The files meant by ``paths``, each once: a folder means the ``*.json`` in it at any depth.

    Raises ``click.UsageError`` for a folder without any.
    """
    found: dict[Path, None] = {}
    for path in paths:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not files:
            raise click.UsageError(f"there is no mapping file (*.json) in {str(path)!r}")
        found |= dict.fromkeys(files)
    return list(found)


def check_files(
    files: Iterable[Path], destination: Destination, revision: str, *, together: bool
) -> list[Checked]:
    """Read files and run their examples.

    ``together``: they are in use at once, so that events that two of them would send twice are
    warned of. Raises ``click.ClickException`` for a file that cannot be read.
    """
    checked = [_check(file, destination, revision) for file in files]
    extra: list[Problem] = list(_taken_names(checked, together=together))
    if together:
        everything = [mapping for each in checked for mapping in each.mappings]
        extra += [
            Problem("/trigger", str(each), "warning", each.mapping, each.file)
            for each in overlaps(everything)
        ]
    return [
        Checked(
            each.file,
            each.mappings,
            [*each.problems, *(p for p in extra if p.file == str(each.file))],
            each.ran,
        )
        for each in checked
    ]


def _check(file: Path, destination: Destination, revision: str) -> Checked:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    mappings, problems = read_mapping_file(text, str(file), destination.actions)
    return Checked(file, mappings, problems, run_examples(mappings, destination, revision=revision))


def _taken_names(checked: Iterable[Checked], *, together: bool) -> Iterable[Problem]:
    """Files of one folder, or in use at once, whose mappings have the same full name."""
    owners: dict[tuple[Path | None, str], Path] = {}
    for each in checked:
        for mapping in each.mappings:
            key = (None if together else each.file.parent, mapping.name)
            owner = owners.setdefault(key, each.file)
            if owner != each.file:
                message = f"{owner} has a mapping of this name too; give the file another name"
                yield Problem("/name", message, "error", mapping.name, str(each.file))


def as_text(checked: Sequence[Checked]) -> str:
    """What a person reads: every problem, every difference, a line per file, and the sum."""
    lines: list[str] = []
    for each in checked:
        held = count(len(each.ran) - len(each.failed), "example")
        verdict = "ok    " if each.sound else "FAILED"
        lines.append(f"{verdict} {each.file}: {count(len(each.mappings), 'mapping')}, {held} hold")
        lines += [f"  {str(problem).removeprefix(f'{each.file}: ')}" for problem in each.problems]
        for ran in each.failed:
            lines += [f"  {line}" for line in failure_lines(ran)]
    ran_all = [ran for each in checked for ran in each.ran]
    failed = sum(1 for ran in ran_all if ran.failures)
    lines.append(
        f"{count(sum(len(each.mappings) for each in checked), 'mapping')} in"
        f" {count(len(checked), 'file')}, {count(len(ran_all) - failed, 'example')} hold,"
        f" {failed:,} do not, {count(sum(len(each.errors) for each in checked), 'error')}"
    )
    return "\n".join(lines)


def failure_lines(ran: Ran) -> list[str]:
    """What does not hold of one example, with a diff where there are two values to compare."""
    lines = []
    for failure in ran.failures:
        head = f"{ran.mapping}: example {ran.example!r}: {failure.what} differs"
        if failure.what in {"skipped", "refused"}:
            because = f" ({failure.because})" if failure.because else ""
            lines.append(f"{head}: {_said(failure.expected)}, is {_said(failure.found)}{because}")
        else:
            lines.append(head)
            diff = difference(failure.expected, failure.found, ("expected", "found"))
            lines += [f"  {line}" for line in diff]
    return lines


def _said(value: Any) -> str:
    return {None: "not refused", True: "skipped", False: "wanted"}.get(value, str(value))


def as_json(checked: Sequence[Checked]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "files": [
            {
                "file": str(each.file),
                "ok": each.sound,
                "mappings": [mapping.name for mapping in each.mappings],
                "passed": len(each.ran) - len(each.failed),
                "failed": len(each.failed),
                "errors": len(each.errors),
            }
            for each in checked
        ],
        "mappings": [mapping.name for each in checked for mapping in each.mappings],
        "problems": [msgspec.to_builtins(p) for each in checked for p in each.problems],
        "passed": sum(len(each.ran) - len(each.failed) for each in checked),
        "failures": [
            {
                "file": ran.file,
                "mapping": ran.mapping,
                "example": ran.example,
                **msgspec.to_builtins(failure),
            }
            for each in checked
            for ran in each.failed
            for failure in ran.failures
        ],
    }

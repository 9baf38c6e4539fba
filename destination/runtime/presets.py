"""The mapping files in use, read again when they change."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Mapping as Dict
from importlib import resources
from pathlib import Path

from destination.action import Action
from destination.errors import SettingsError
from destination.mapping.file import Mapping, read_mapping_file
from destination.mapping.problem import Problem
from destination.pipeline import Route, route

Signature = tuple[tuple[str, int, int], ...]


def mapping_files(path: Path) -> list[Path]:
    """The files that ``path`` means: itself, or the ``*.json`` in it (not in folders below).

    Where no such folder is, ``mappings`` and what is below it are the files that the package
    brings along. Raises ``SettingsError`` when there is nothing.
    """
    if not path.exists() and path.parts[:1] == ("mappings",):
        path = _shipped().joinpath(*path.parts[1:])
    if path.is_file():
        return [path]
    files = sorted(path.glob("*.json")) if path.is_dir() else []
    if not files:
        raise SettingsError(
            f"no mapping files at {str(path)!r}. Set DESTINATION_MAPPINGS (or --mappings) to a"
            " mapping file or to a folder that holds some."
        )
    return files


def _shipped() -> Path:
    package = Path(str(resources.files("destination")))
    inside = package / "presets"
    return inside if inside.is_dir() else package.parent / "mappings"


def read_mappings(
    files: list[Path], actions: Dict[str, Action]
) -> tuple[list[Mapping], list[Problem]]:
    """All mappings of these files and all problems in them."""
    mappings: list[Mapping] = []
    problems: list[Problem] = []
    for file in files:
        found, wrong = read_mapping_file(file.read_bytes(), str(file), actions)
        mappings += found
        problems += wrong
    return mappings, problems


class Mappings:
    """The mappings of one connection. A file that turns bad is refused and the last good stays."""

    def __init__(
        self,
        path: Path,
        actions: Dict[str, Action],
        *,
        complain: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._actions = actions
        self._complain = complain
        self._clock = clock
        self._looked = clock()
        files = mapping_files(path)
        self._signature = _sign(files)
        self._routes = self._read(files)
        self.problem = ""

    def _read(self, files: list[Path]) -> dict[str, Route]:
        mappings, problems = read_mappings(files, self._actions)
        errors = [str(problem) for problem in problems if problem.severity == "error"]
        if errors:
            raise SettingsError("\n".join(errors))
        routes: dict[str, Route] = {}
        for mapping in mappings:
            other = routes.get(mapping.name)
            if other is not None:
                raise SettingsError(
                    f"{mapping.source} and {other.mapping.source} both have a mapping"
                    f" {mapping.name!r}; give one of the files another name"
                )
            routes[mapping.name] = route(mapping, self._actions)
        return routes

    def routes(self) -> dict[str, Route]:
        """The mappings by name, at most a second old."""
        now = self._clock()
        if now - self._looked >= 1:
            self._looked = now
            self._refresh()
        return self._routes

    def _refresh(self) -> None:
        try:
            files = mapping_files(self._path)
            signature = _sign(files)
            if signature == self._signature:
                return
            self._signature = signature
            self._routes = self._read(files)
            self.problem = ""
        except (SettingsError, OSError) as error:
            if str(error) != self.problem:
                self.problem = str(error)
                self._complain(self.problem)


def _sign(files: list[Path]) -> Signature:
    stats = [(file, file.stat()) for file in files]
    return tuple((str(file), stat.st_mtime_ns, stat.st_size) for file, stat in stats)

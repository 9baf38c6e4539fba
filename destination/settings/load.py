"""From what was written to settings that can be relied on, or to a message for the operator."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from destination.errors import SettingsError
from destination.settings.doubts import misspelt, refuse_contradictions, warnings_about
from destination.settings.files import DOTENV, TOML, named, read_dotenv, read_toml, tables_of
from destination.settings.model import FLAT, Connection, Settings, Source, setting_name
from destination.settings.shown import masked

DEVELOPMENT: Mapping[str, Any] = {"write_key": "dev"}
"""The defaults of ``up`` and ``demo`` on loopback, for ``load_settings(defaults=...)``."""
INHERITED = ("klaviyo_api_url", "klaviyo_revision", "mappings")

Model = TypeVar("Model", bound=BaseModel)


def load_settings(
    *,
    folder: Path = Path(),
    environ: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Settings:
    """Read the settings, by attribute name in ``overrides`` and ``defaults``; None is not set.

    ``folder`` holds ``.env`` and ``destination.toml``; ``defaults`` rank below everything else.
    Raises ``SettingsError`` with one line per problem.
    """
    environ = os.environ if environ is None else environ  # noqa: TID251 - the one place that reads it
    dotenv = read_dotenv(folder / DOTENV)
    document = read_toml(folder / TOML, {**dotenv, **environ})
    tables = {kind: tables_of(document, kind) for kind in ("connections", "sources")}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in (
        ("default", dict(defaults or {})),
        (TOML, document),
        (DOTENV, named(dotenv)),
        ("environment", named(environ)),
        ("argument", overrides),
    ):
        given = {name: value for name, value in layer.items() if value is not None}
        _refuse_unknown(given, origin)
        values |= given
        origins |= dict.fromkeys(given, origin)
    flat = _checked(Settings, values | {"origins": origins}, origins, "")
    connections = _connections(flat, tables["connections"])
    sources = _sources(flat, tables["sources"], connections)
    settings = flat.model_copy(update={"connections": connections, "sources": sources})
    refuse_contradictions(settings)
    warnings = (*misspelt({**dotenv, **environ}), *warnings_about(settings))
    return settings.model_copy(update={"warnings": warnings})


def _refuse_unknown(names: Iterable[str], where: str) -> None:
    for name in names:
        if name not in FLAT:
            raise SettingsError(f"{where}: there is no setting {name!r}. {_nearest(name, FLAT)}")


def _connections(flat: Settings, tables: dict[str, Any]) -> dict[str, Connection]:
    """``default`` is there when no other is, and when the account's key is set for it."""
    own = _own(flat, {"klaviyo_api_key": "klaviyo_api_key"}, tables, "connections")
    inherited = {name: getattr(flat, name) for name in INHERITED}
    named = dict(tables)
    if not tables or own:
        named["default"] = own | tables.get("default", {})
    return {
        name: _checked(Connection, {"name": name} | inherited | table, {}, f"connections.{name}")
        for name, table in named.items()
    }


def _sources(
    flat: Settings, tables: dict[str, Any], connections: Mapping[str, Connection]
) -> dict[str, Source]:
    """``default`` is there when no other is, and when a key or secret is set for it."""
    names = {"write_key": "write_keys", "signing_secret": "signing_secrets"}
    own = _own(flat, names, tables, "sources")
    named = dict(tables)
    if not tables or own:
        named["default"] = own | tables.get("default", {})
    only = {"connection": next(iter(connections))} if len(connections) == 1 else {}
    return {
        name: _checked(Source, {"name": name} | only | table, {}, f"sources.{name}")
        for name, table in named.items()
    }


def _own(
    flat: Settings, names: Mapping[str, str], tables: dict[str, Any], kind: str
) -> dict[str, Any]:
    """What single settings say about ``default``; a mere default does not add one to a file's."""
    own = {}
    for attribute, key in names.items():
        origin = flat.origins.get(attribute, "default")
        if origin == "default" and tables:
            continue
        if getattr(flat, attribute):
            own[key] = getattr(flat, attribute)
        if key in own and key in tables.get("default", {}):
            raise SettingsError(
                f"{setting_name(attribute)} is set in {origin} and again as {key} in"
                f" [{kind}.default] of {TOML}. Keep one of them."
            )
    return own


def _checked(
    model: type[Model], values: Mapping[str, Any], origins: Mapping[str, str], place: str
) -> Model:
    """``values`` as a ``model``, or ``SettingsError`` with a line per problem."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [
            _line(model, dict(problem), values, origins, place)
            for problem in error.errors()
            if problem["type"] != "default_factory_not_called"  # follows from another problem
        ]
        raise SettingsError("\n".join(dict.fromkeys(lines))) from None


def _line(
    model: type[BaseModel],
    problem: Mapping[str, Any],
    values: Mapping[str, Any],
    origins: Mapping[str, str],
    place: str,
) -> str:
    """One problem that pydantic found, for a person: which setting, where, seen what, what to do."""
    key = str(problem["loc"][0])
    where = origins.get(key, TOML)
    if problem["type"] == "extra_forbidden":
        return f"{where}: [{place}] has no {key!r}. {_nearest(key, tuple(model.model_fields))}"
    name = f"{place}.{key}" if place else setting_name(key)
    complaint = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    seen = masked(key, values.get(key))
    meaning = model.model_fields[key].description
    return f"{name} (from {where}): {complaint}; seen {seen!r}. It means: {meaning}"


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name.lower().removeprefix("destination_"), known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."

"""Where settings are written down: the environment, ``.env`` and ``destination.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from destination.errors import SettingsError
from destination.settings.model import FLAT, setting_name

TOML = "destination.toml"
DOTENV = ".env"


def read_toml(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise SettingsError(f"{path} cannot be read: {error}. Correct or remove it.") from error
    return {key: _filled(value, f"{path}: {key}", environ) for key, value in document.items()}


def _filled(value: Any, place: str, environ: Mapping[str, str]) -> Any:
    """``value`` with every text ``${NAME}`` replaced by that environment variable."""
    if isinstance(value, dict):
        return {key: _filled(item, f"{place}.{key}", environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, place, environ) for item in value]
    match = re.fullmatch(r"\$\{(\w+)\}", value) if isinstance(value, str) else None
    if match is None:
        return value
    if not environ.get(match[1]):
        raise SettingsError(
            f"{place} names ${{{match[1]}}}, which the environment has not. Set it."
        )
    return environ[match[1]]


def tables_of(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """Take ``[connections.NAME]`` or ``[sources.NAME]`` out of the document."""
    tables = document.pop(kind, {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise SettingsError(f"{TOML}: {kind} must be tables; write [{kind}.NAME] on a line.")
    return tables


def read_dotenv(path: Path) -> dict[str, str]:
    try:
        return {key: value for key, value in dotenv_values(path).items() if value is not None}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}. Correct or remove it.") from error


def named(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings in an environment by attribute; an empty variable counts as not set."""
    return {name: environ[key] for name in FLAT if environ.get(key := setting_name(name))}

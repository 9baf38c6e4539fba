"""The operator's settings: the only reader of the environment.

Arguments win over the environment, that over ``.env``, that over ``destination.toml``, that over
the defaults. The file may hold any setting under its attribute name (``write_key``,
``klaviyo_api_key``, ...) and, alone, several ``[connections.NAME]`` and ``[sources.NAME]``; a text
in it that is exactly ``${NAME}`` stands for that environment variable, so that secrets can stay
out of the file.
"""

from destination.settings.doubts import check_write_keys, is_loopback
from destination.settings.load import DEVELOPMENT, load_settings
from destination.settings.model import Connection, Settings, Source, setting_name
from destination.settings.shown import Row, describe

__all__ = [
    "DEVELOPMENT",
    "Connection",
    "Row",
    "Settings",
    "Source",
    "check_write_keys",
    "describe",
    "is_loopback",
    "load_settings",
    "setting_name",
]

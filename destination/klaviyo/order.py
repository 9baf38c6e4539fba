"""Which actions undo each other, so that their order must be kept across mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LIST_FIELDS = ("list_id", "list_name", "override_list_id", "retlOnMappingSave")


def membership(_fields: Mapping[str, Any]) -> str:
    """Whoever adds to a list or removes from one."""
    return "lists"


def membership_if_listed(fields: Mapping[str, Any]) -> str:
    """An upsert counts when its mapping names a list."""
    return "lists" if any(fields.get(name) is not None for name in LIST_FIELDS) else ""


def consent(_fields: Mapping[str, Any]) -> str:
    """Whoever gives or takes consent, or suppresses: an older yes must not undo a newer no."""
    return "consent"

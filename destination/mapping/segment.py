"""Segment's exported mappings."""

from __future__ import annotations

from typing import Any


def import_segment(document: Any) -> tuple[dict[str, Any], list[str]]:
    """Being written."""
    raise NotImplementedError

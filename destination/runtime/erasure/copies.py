"""What commands leave on this machine's disk that holds people: copies of audiences, and the rows of
them that were rejected. What else they keep (``loads``, ``mirrors``) is numbers and digests.
"""

from __future__ import annotations

import re
from pathlib import Path

from destination.runtime.subject import Subject

COPIES = Path("mirrors", "fetched")
"""Where in the data folder they are. None is needed any more once its command has ended."""

_BETWEEN_CELLS = re.compile(r"[,;|\t\r\n]")
_QUOTED = re.compile(r'"([^"]*)"')


def copies_with(folder: Path, who: Subject) -> list[Path]:
    """The copies in a data folder that mention a person."""
    files = sorted(file for file in (folder / COPIES).glob("*") if file.is_file())
    return [file for file in files if _mentions(file.read_bytes(), who)]


def _mentions(content: bytes, who: Subject) -> bool:
    text = content.decode("utf-8", "replace")
    parts = [*_BETWEEN_CELLS.split(text), *_QUOTED.findall(text)]
    cells = (cell.strip(" \"'\ufeff") for cell in parts)
    return who.mentioned(text) or any(
        cell and (cell in {who.user_id, who.anonymous_id} or who.dialled(cell)) for cell in cells
    )

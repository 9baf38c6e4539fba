"""The guides in docs/callers as something that can be run: their files and their commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.stack import KEY, ROOT, Stack

FOLDER = ROOT / "docs" / "callers"
_FENCE = re.compile(
    r"^<!-- (?P<mark>[^\n]*) -->\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """A marked fence: ``mark`` is ``run`` or ``file: NAME``."""

    guide: str
    mark: str
    kind: str
    text: str


def blocks(mark: str, *kinds: str) -> list[Block]:
    """The fences with a mark that starts so, of these kinds, in all guides."""
    found = [
        Block(path.stem, match["mark"], match["kind"], match["text"])
        for path in sorted(FOLDER.glob("*.md"))
        for match in _FENCE.finditer(path.read_text("utf-8"))
    ]
    return [each for each in found if each.mark.startswith(mark) and each.kind in kinds]


def files() -> Iterator[tuple[str, str]]:
    """The files that the guides show, by name; what several show of one file stands together."""
    texts: dict[str, list[str]] = {}
    for block in blocks("file: ", "toml", "json"):
        texts.setdefault(block.mark.removeprefix("file: "), []).append(block.text)
    for name, parts in texts.items():
        yield name, "\n".join(parts)


def write_files(folder: Path) -> None:
    """Put the files of all guides where an installation finds them."""
    for name, text in files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def meant(block: Block, stack: Stack) -> str:
    """The text with this installation's address and key in the places of the reader's."""
    text = block.text.replace("https://events.example.com", stack.server)
    return text.replace("YOUR_WRITE_KEY", KEY)

"""The product's command line with Klaviyo's rate limits lifted: ``python -m benchmarks.unlimited work``.

An account may call Klaviyo's bulk endpoints 150 times a minute, which is less than this is to
measure. Every call still asks the limiter, as it always does; only the answer is always yes.
"""

from __future__ import annotations

from destination.action import Window
from destination.cli import main
from destination.klaviyo import limits

MANY = (Window(1_000_000, 1),)


def lift() -> None:
    """Allow a million calls a second of every operation."""
    limits._WINDOWS.update(dict.fromkeys(limits.OPERATIONS, MANY))  # noqa: SLF001 see above


if __name__ == "__main__":
    lift()
    main()

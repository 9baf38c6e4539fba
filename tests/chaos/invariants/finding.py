"""What checking one invariant came to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Violation:
    """One case in which it does not hold; ``mid`` is the message concerned, if there is one."""

    text: str
    mid: str = ""


@dataclass(slots=True)
class Finding:
    """An invariant, how many cases of it were looked at, and those that violate it."""

    name: str
    title: str
    checked: int = 0
    violations: list[Violation] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing violates it; also when there was nothing to look at."""
        return not self.violations

    def wrong(self, text: str, mid: str = "") -> None:
        """Note a violation."""
        self.violations.append(Violation(text, mid))

    def expect(self, seen: object, wanted: object, what: str, mid: str = "") -> None:
        """Look at one case: a violation unless ``seen`` is ``wanted``."""
        self.checked += 1
        if seen != wanted:
            self.wrong(f"{what}: {_short(seen)}, expected {_short(wanted)}", mid)

    def line(self) -> str:
        """One line for the report."""
        if not self.checked:
            return f"{self.name:<4} -     {self.title}: nothing to check"
        if self.holds:
            return f"{self.name:<4} ok    {self.title}: {self.checked} checked"
        return (
            f"{self.name:<4} WRONG {self.title}: {len(self.violations)} of {self.checked} checked"
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:157]}..."

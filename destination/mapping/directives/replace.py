"""``@replace``: some text for other text."""

from __future__ import annotations

import re
from typing import Any

from destination.errors import MappingError
from destination.mapping.budget import NODE, Budget
from destination.mapping.check import Checker, boolean, text_between, text_or_directive
from destination.mapping.compiler import Site, options_of
from destination.mapping.directive import Directive, Example
from destination.mapping.javascript import fold_case, is_number, is_truthy, text_length
from destination.mapping.missing import MISSING
from destination.mapping.plan import Computed, Constant, Plan
from destination.mapping.problem import Place, Problem, excerpt
from destination.mapping.text_form import scalar_text

_LONGEST = 10  # of patterns and replacements, in UTF-16 code units: Segment's limit
_SUBSTITUTION = re.compile(r"\$[$&`']")


def _check(checker: Checker, option: Any, place: Place) -> list[Problem]:
    return checker.options(
        option,
        place,
        {"pattern": text_between(1, _LONGEST), "value": text_or_directive},
        {
            "replacement": text_between(0, _LONGEST),
            "ignorecase": boolean,
            "global": boolean,
        },
    )


def _compile(option: Any, site: Site) -> Plan:
    options = options_of(option, "pattern")
    if not is_truthy(options.get("value")):
        return Constant(MISSING)
    value = site.resolver(options["value"], "value")
    ignore_case, everywhere = _flag(options, "ignorecase", False), _flag(options, "global", True)
    pairs = _pairs(options)
    usable = (
        isinstance(ignore_case, bool)
        and isinstance(everywhere, bool)
        and isinstance(pairs[0][0], str)
        and isinstance(pairs[0][1], str)
    )
    too_long = [part for pair in pairs for part in pair if _is_too_long(part)]
    steps = tuple(
        _Replacement(pattern, replacement, ignore_case, everywhere, site.path)
        for pattern, replacement in (pairs if usable else ())
    )
    at = site.path

    def resolve(payload: Any, budget: Budget) -> str:
        found = value(payload, budget)
        if isinstance(found, bool) or is_number(found):
            found = scalar_text(found)
        if not isinstance(found, str) or not usable:
            return ""
        if too_long:
            raise MappingError(at, f"at most {_LONGEST} characters: {excerpt(too_long[0])}")
        for each in steps:
            found = each.apply(found, budget)
        return found

    return Computed(resolve)


def _flag(options: dict[str, Any], name: str, default: bool) -> Any:
    return default if options.get(name) is None else options[name]


def _pairs(options: dict[str, Any]) -> list[tuple[Any, Any]]:
    """What to replace with what, in order. A second pair counts only if both parts are texts."""
    pairs = [(options["pattern"], _or_empty(options.get("replacement")))]
    pattern2, replacement2 = options.get("pattern2"), _or_empty(options.get("replacement2"))
    if isinstance(pattern2, str) and pattern2 and isinstance(replacement2, str):
        pairs.append((pattern2, replacement2))
    return pairs


def _or_empty(replacement: Any) -> Any:
    return "" if replacement is None else replacement


def _is_too_long(part: Any) -> bool:
    return isinstance(part, str) and text_length(part) > _LONGEST


class _Replacement:
    """One pattern and its replacement."""

    def __init__(
        self, pattern: str, replacement: str, ignore_case: bool, everywhere: bool, at: str
    ) -> None:
        self.pattern = fold_case(pattern) if ignore_case else pattern
        self.replacement = replacement
        self.ignore_case = ignore_case
        self.count = -1 if everywhere else 1
        self.special = bool(_SUBSTITUTION.search(replacement))
        self.at = at

    def apply(self, text: str, budget: Budget) -> str:
        """``text`` with the pattern replaced."""
        if self.special or self.ignore_case:
            return self._one_by_one(text, budget)
        found = text.count(self.pattern) if self.count < 0 else 1
        budget.spend(len(text) + found * len(self.replacement), self.at)
        return text.replace(self.pattern, self.replacement, self.count)

    def _one_by_one(self, text: str, budget: Budget) -> str:
        searched = fold_case(text) if self.ignore_case else text
        budget.spend(NODE * len(text) if self.ignore_case else len(text), self.at)
        parts: list[str] = []
        done, left = 0, self.count
        while left and (start := searched.find(self.pattern, done)) >= 0:
            end = start + len(self.pattern)
            new = self._substituted(text, start, end, budget)
            parts += (text[done:start], new)
            done, left = end, left - 1
        return "".join((*parts, text[done:]))

    def _substituted(self, text: str, start: int, end: int, budget: Budget) -> str:
        """The replacement for the match at ``start``: ``$$`` a dollar, ``$&`` the match, ``$```
        and ``$'`` what is before and after it.
        """
        budget.spend(NODE + len(self.replacement), self.at)
        if not self.special:
            return self.replacement
        inserted = {
            "$&": slice(start, end),
            "$`": slice(start),
            "$'": slice(end, None),
        }
        for name in _SUBSTITUTION.findall(self.replacement):
            budget.spend(len(text) if name in {"$`", "$'"} else len(self.pattern), self.at)
        return _SUBSTITUTION.sub(
            lambda match: "$" if match[0] == "$$" else text[inserted[match[0]]], self.replacement
        )


REPLACE = Directive(
    name="@replace",
    description="""\
Replaces `pattern` by `replacement` (empty unless given) in the text `value`, then `pattern2` by
`replacement2` if given. Patterns are plain text of 1 to 10 characters, replacements have at most
10; in a replacement `$&` is what was found, `` $` `` and `$'` what stands before and after it, `$$`
a dollar. `ignorecase` (false) makes case irrelevant, `global: false` replaces only the first.
Numbers and booleans count as texts; whatever else is not a text gives an empty text.""",
    check=_check,
    compile=_compile,
    examples=(
        Example(
            {"phone": {"@replace": {"pattern": "-", "value": {"@path": "$.phone"}}}},
            {"phone": "415-555-0142"},
            {"phone": "4155550142"},
        ),
        Example(
            {
                "price": {
                    "@replace": {
                        "pattern": ".",
                        "replacement": "",
                        "pattern2": ",",
                        "replacement2": ".",
                        "value": {"@path": "$.price"},
                    }
                }
            },
            {"price": "1.234,50"},
            {"price": "1234.50"},
        ),
        Example(
            {
                "plan": {
                    "@replace": {
                        "pattern": "PRO",
                        "replacement": "plus",
                        "ignorecase": True,
                        "value": {"@path": "$.plan"},
                    }
                }
            },
            {"plan": "Pro"},
            {"plan": "plus"},
        ),
    ),
)

"""What a text must look like: e-mail addresses, URIs and dates.

E-mail and URI follow ajv-formats 2.1, which Segment's payload check runs. Every pattern is
possessive throughout, so that its cost is linear in the text whatever the text is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final

from destination.fields.dates import is_written_date
from destination.fields.numbers import number_text, text_number

# Both cases are spelled out: ignoring case makes matching twice as slow.
_LABEL: Final = r"[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+"
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
is_email: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*+@{_LABEL}(?:\.{_LABEL})++").fullmatch
"""Truthy for an ASCII dot-atom, ``@`` and at least two domain labels; of any length. The pattern
itself: a call less for every payload."""

# The largest distance from 1970 that a JavaScript date can have, in milliseconds (ECMA-262).
_REACH: Final = 8.64e15


def is_date(text: str) -> bool:
    """Whether it can be read as a time: a date in words or digits, or a unix time."""
    if is_written_date(text):
        return True
    number = text_number(text)
    return number_text(number) == text and abs(number) * 1000 <= _REACH


# A scheme, a path that also covers an authority by name, a query, a fragment (RFC 3986). Only an
# address in brackets is told apart, since brackets may stand nowhere else.
_CHAR: Final = r"[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2}"
_USER: Final = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*+@"
_LITERAL: Final = (
    r"\[(?:(?P<ip>[0-9A-Fa-f:.]++)|[vV][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++)\]"
)
_URI: Final = re.compile(
    rf"[A-Za-z][A-Za-z0-9+\-.]*+:"
    rf"(?://?(?>{_USER})?{_LITERAL}(?::[0-9]*+)?(?:/(?:{_CHAR})*+)*+|(?:{_CHAR}|/)++)"
    rf"(?:\?(?:{_CHAR}|[/?])*+)?(?:\#(?:{_CHAR}|[/?])*+)?"
)


def is_uri(text: str) -> bool:
    """Whether it is an absolute URI, such as ``https://acme.io/a`` or ``urn:isbn:1``."""
    found = _URI.fullmatch(text)
    return found is not None and (found["ip"] is None or _is_ipv6(found["ip"]))


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


FORMATS: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "email": (is_email, "an e-mail address such as ana@acme.io"),
    "uri": (is_uri, "an absolute address such as https://acme.io/a"),
}
"""Per format the test, truthy for what fits, and what it wants, as a message names it."""

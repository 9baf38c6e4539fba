"""What a text must look like: e-mail addresses, URIs and dates.

E-mail and URI follow ajv-formats 2.1, which Segment's payload check runs. Every pattern is
possessive throughout, so that its cost is linear in the text whatever the text is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from destination.fields.coercion import FAILED, number_text, text_number
from destination.fields.dates import read_date

_LABEL: Final = r"[a-z0-9]++(?:-++[a-z0-9]++)*+"
_LOCAL: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]++"
_EMAIL: Final = re.compile(
    rf"{_LOCAL}(?:\.{_LOCAL})*+@{_LABEL}(?:\.{_LABEL})++", re.IGNORECASE | re.ASCII
)

# The largest distance from 1970 that a JavaScript date can have, in milliseconds (ECMA-262).
_REACH: Final = 8.64e15


def is_email(text: str) -> bool:
    """Whether it is an ASCII dot-atom, ``@`` and at least two domain labels; of any length."""
    return _EMAIL.fullmatch(text) is not None


def is_date(text: str) -> bool:
    """Whether it can be read as a time: a date in words or digits, or a unix time."""
    if read_date(text) is not None:
        return True
    number = text_number(text)
    if number is FAILED or number_text(number) != text:
        return False
    return bool(abs(number) * 1000 <= _REACH)


# RFC 3986: a scheme, then an authority with a path, or a path alone, then query and fragment.
_CHAR: Final = r"[a-z0-9\-._~!$&'()*+,;=:@]|%[0-9a-f]{2}"
_HOST: Final = r"\[[0-9a-f:.]++\]|\[v[0-9a-f]++\.[a-z0-9\-._~!$&'()*+,;=:]++\]|(?:[a-z0-9\-._~!$&'()*+,;=]|%[0-9a-f]{2})*+"
_USER: Final = r"(?:[a-z0-9\-._~!$&'()*+,;=:]|%[0-9a-f]{2})*+@"
_URI: Final = re.compile(
    rf"[a-z][a-z0-9+\-.]*+:"
    rf"(?://(?:(?>{_USER}))?(?:{_HOST})(?::[0-9]*+)?(?:/(?:{_CHAR})*+)*+"
    rf"|/?(?:(?:{_CHAR})++(?:/(?:{_CHAR})*+)*+)?)"
    rf"(?:\?(?:{_CHAR}|[/?])*+)?(?:\#(?:{_CHAR}|[/?])*+)?",
    re.IGNORECASE | re.ASCII,
)


def is_uri(text: str) -> bool:
    """Whether it is an absolute URI by RFC 3986, such as ``https://acme.io/a`` or ``urn:isbn:1``."""
    return _URI.fullmatch(text) is not None


FORMATS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "email": (is_email, "an e-mail address such as ana@acme.io"),
    "uri": (is_uri, "an absolute address such as https://acme.io/a"),
    "date": (is_date, "a date such as 2026-01-31T12:00:00Z"),
}
"""Per format the test and what it wants, as a message names it."""

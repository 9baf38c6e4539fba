"""Which e-mail addresses Klaviyo takes."""

from __future__ import annotations

import re
from typing import Final

from destination.fields.formats import is_email as is_address

_LONGEST: Final = 100
_LONGEST_LOCAL: Final = 64
_LONG_LABEL: Final = re.compile(r"[^.]{64}")
_LETTERS_LAST: Final = re.compile(r"(?:[a-z]{2,}+|xn--[a-z0-9-]++)", re.IGNORECASE | re.ASCII)


def is_email(text: str) -> bool:
    """Whether Klaviyo takes ``text`` as an e-mail address.

    At most 100 characters (events guide), ASCII, a dot-atom before the ``@`` (apostrophes and plus
    signs are part of it) of at most 64 characters and domain labels of at most 63 (RFC 5321, 1035).
    Klaviyo does not publish its rule; where in doubt this one lets pass, since a refusal names the
    row. Linear in the text, whatever it is.
    """
    if len(text) > _LONGEST or not is_address(text):
        return False
    if len(text) <= _LONGEST_LOCAL:
        return True
    local, _, domain = text.partition("@")
    return len(local) <= _LONGEST_LOCAL and not _LONG_LABEL.search(domain)


def is_public_email(text: str) -> bool:
    """Whether it also ends like a name of the public DNS: two letters or more, or ``xn--``.

    Segment asks for this where it adds profiles to lists, and only there: ``ana@acme.c`` and
    ``ana@1.2.3.4`` pass elsewhere.
    """
    return is_email(text) and _LETTERS_LAST.fullmatch(text.rpartition(".")[2]) is not None

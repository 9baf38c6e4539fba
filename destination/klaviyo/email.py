"""Which e-mail addresses Klaviyo takes."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 100
_LONGEST_LOCAL: Final = 64
_ATOM: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]++"
_LABEL: Final = r"(?=[a-z0-9-]{1,63}(?:\.|\Z))[a-z0-9]++(?:-++[a-z0-9]++)*+"
_ADDRESS: Final = re.compile(
    rf"(?P<local>{_ATOM}(?:\.{_ATOM})*+)@(?:{_LABEL}\.)++(?=[a-z0-9-]*[a-z])(?=..){_LABEL}",
    re.IGNORECASE | re.ASCII,
)


def is_email(text: str) -> bool:
    """Whether Klaviyo takes ``text`` as an e-mail address.

    At most 100 characters (events guide: e-mail of a profile), ASCII, a dot-atom of at most 64
    characters before the ``@`` (RFC 5321; apostrophes and plus signs are part of it), domain labels
    of at most 63, and a last label of two or more with a letter in it. One address that fails makes
    Klaviyo refuse a whole bulk request, so what mail could not be delivered to is refused here.
    """
    if len(text) > _LONGEST:
        return False
    found = _ADDRESS.fullmatch(text)
    return found is not None and found.end("local") <= _LONGEST_LOCAL

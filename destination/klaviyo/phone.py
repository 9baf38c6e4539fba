"""Phone numbers as Klaviyo wants them: E.164."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

_is_e164: Final = re.compile(r"\+[1-9][0-9]{1,14}").fullmatch
_LONGEST: Final = 250  # what Google's library reads at most
_REGION: Final = re.compile(r"[A-Za-z]{2}")
# Until 2019 a Mexican number was dialled with 1 after the country code, or with 01, 02, 044 or 045
# before the national number. Google's tables from 9.0 on no longer know these forms; address books
# still hold them.
_OLD_MEXICAN: Final = re.compile(r"(?:0?1|02|04[45])([0-9]{10})")


def to_e164(number: Any, country: str | None) -> str | None:
    """``number`` in E.164, or None when it cannot be had.

    What already is ``+`` and 2 to 15 digits passes unchanged and unchecked. Anything else needs
    ``country``, an ISO 3166 alpha-2 code, and must be a valid number of that very country (so a
    US number with ``CA`` is None); letters are read as the keys they stand on, an extension is left
    out. Never raises.
    """
    if isinstance(number, str) and _is_e164(number):
        return number
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 10**15:
        number = str(number)
    if not isinstance(number, str):
        return None
    if not isinstance(country, str) or not _REGION.fullmatch(country) or len(number) > _LONGEST:
        return None
    return _national(number, country.upper())


@lru_cache(maxsize=4096)  # Google's library takes some 30 µs, and people come again
def _national(number: str, country: str) -> str | None:
    # Some 20 ms and several megabytes that most processes never need: numbers mostly are E.164.
    import phonenumbers  # noqa: PLC0415  # loaded on first need

    try:
        parsed = phonenumbers.parse(number, country)
        if country == "MX" and parsed.country_code == 52:
            old = _OLD_MEXICAN.fullmatch(phonenumbers.national_significant_number(parsed))
            parsed = phonenumbers.parse(old[1], country) if old else parsed
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number_for_region(parsed, country):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)

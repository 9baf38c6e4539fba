"""Phone numbers as Klaviyo wants them: E.164."""

from __future__ import annotations

import re
from typing import Any, Final

_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_LONGEST: Final = 250
_REGION: Final = re.compile(r"[A-Za-z]{2}")
# A Mexican number as it was dialled until 2019: 1 after the country code for mobiles, or one of
# the prefixes 01, 02, 044 and 045. The numbering plan dropped them and so did Google's tables.
_OLD_MEXICAN: Final = re.compile(r"(?:(?:00)?52)?(?:0?1|02|04[45])([0-9]{10})")


def to_e164(number: Any, country: str | None) -> str | None:
    """``number`` in E.164, or None when it cannot be had.

    What already is ``+`` and 2 to 15 digits passes unchanged and unchecked. Anything else needs
    ``country``, an ISO 3166 alpha-2 code, and must be a valid number of that very country (so a
    US number with ``CA`` is None); letters on the keys are read as digits, an extension is left
    out. Never raises.
    """
    if isinstance(number, int) and not isinstance(number, bool):
        number = str(number) if number.bit_length() < 64 else ""
    if not isinstance(number, str) or len(number) > _LONGEST:
        return None
    if _E164.fullmatch(number):
        return number
    if not isinstance(country, str) or not _REGION.fullmatch(country):
        return None
    return _national(number, country.upper())


def _national(number: str, country: str) -> str | None:
    # Google's tables take a tenth of a second to load, and most numbers never need them.
    import phonenumbers  # noqa: PLC0415  # loaded on first need

    found = _valid(number, country)
    if found is None and country == "MX":
        digits = phonenumbers.normalize_digits_only(number)
        old = _OLD_MEXICAN.fullmatch(digits)
        found = _valid(old[1], country) if old else None
    return found


def _valid(number: str, country: str) -> str | None:
    import phonenumbers  # noqa: PLC0415  # loaded on first need

    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number_for_region(parsed, country):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)

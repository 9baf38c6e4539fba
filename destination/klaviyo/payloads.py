"""Fields that several actions share, and the preparing of what their types cannot check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from destination.action import Payload
from destination.delivery import Discard
from destination.errors import Ended
from destination.fields import Field
from destination.klaviyo.countries import COUNTRIES
from destination.klaviyo.times import to_iso

EMAIL = Field("email", format="email", description="The person's e-mail address.")
PHONE = Field(
    "phone_number",
    description="The person's phone number: E.164 (+14155552671), or national with country_code.",
)
COUNTRY = Field(
    "country_code",
    choices=COUNTRIES,
    description="ISO 3166-1 alpha-2 code of the country to read a national phone number in.",
)
EXTERNAL_ID = Field("external_id", description="Your own id of the person.")

PROFILE_ID = Field("id", description="Klaviyo's own id of the profile; not your id of the person.")

EXTERNAL_ID_BOUNDED = replace(EXTERNAL_ID, maximum=255)
"""The same where Segment states its length among the fields."""

LIST_ID = Field("list_id", description="Id of the Klaviyo list.")
LIST_NAME = Field(
    "list_name",
    description="Name of the Klaviyo list, in place of its id; it is made when there is none.",
)

LOCATION = Field(
    "location",
    "object",
    description="The person's address.",
    properties=tuple(
        Field(name, description=text, null=True)
        for name, text in (
            ("address1", "First line of the street address."),
            ("address2", "Second line of the street address."),
            ("city", "City name."),
            ("region", "Region within the country, such as a state."),
            ("zip", "Postal code."),
            ("latitude", "Latitude; four decimals are enough."),
            ("longitude", "Longitude; four decimals are enough."),
            ("country", "Country name."),
            ("timezone", "IANA name of the time zone, such as Europe/Berlin."),
            ("ip", "IP address that the location is derived from."),
        )
    ),
)

NAMES_AND_PLACES = (
    Field("first_name", description="The person's first name."),
    Field("last_name", description="The person's last name."),
    Field("organization", description="Where the person works."),
    Field("title", description="The person's job title."),
    Field("locale", description="BCP 47 tag of the person's language, such as pt-BR."),
    Field("image", description="Address of the person's picture."),
    LOCATION,
)

PROPERTIES = Field(
    "properties",
    "object",
    description="Custom properties of the profile; one set to null is cleared.",
)

PROPERTY_OPERATIONS = (
    Field(
        "append_properties",
        "object",
        description="Values to append to list properties: {property: value}.",
    ),
    Field(
        "unappend_properties",
        "object",
        description="Values to take out of list properties: {property: value}.",
    ),
    Field("unset_properties", multiple=True, description="Names of properties to remove."),
)


def without(payload: Payload, names: Iterable[str]) -> Payload:
    """The payload but for the fields with these names."""
    left_out = set(names)
    return {name: value for name, value in payload.items() if name not in left_out}


def with_time(payload: Payload, name: str, now: float) -> Payload:
    """The payload with the time field ``name`` in ISO 8601; an empty one is left out.

    Raises ``Ended``: ``invalid_time``.
    """
    value = payload.get(name)
    if not value:
        return without(payload, [name])
    try:
        time = to_iso(value, now)
    except ValueError as error:
        raise Ended(Discard("invalid_time", str(error), name)) from None
    return payload if time == value else {**payload, name: time}


def require_list(payload: Payload) -> None:
    """Raises ``Ended`` (``missing_list``) unless the payload says which list is meant."""
    if not payload.get("list_id") and not payload.get("list_name"):
        message = "neither list_id nor list_name has a value; map one of them"
        raise Ended(Discard("missing_list", message, "list_id"))

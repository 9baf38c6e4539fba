"""Profiles: who is who, and what happens when identifiers meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from destination.sandbox.world.consent import Consent
from destination.sandbox.world.ids import Ids

# The order in which identifiers are believed; after the id.
IDENTIFIERS = ("email", "phone_number", "external_id", "_kx", "anonymous_id")
PLAIN = ("first_name", "last_name", "organization", "locale", "title", "image")
LOCATION = (
    "address1", "address2", "city", "country", "latitude",
    "longitude", "region", "zip", "timezone", "ip",
)  # fmt: skip


@dataclass(slots=True)
class Profile:
    """One profile. ``identifiers`` holds those that are set; times are seconds since 1970."""

    id: str
    number: int
    created: float
    updated: float
    identifiers: dict[str, str] = field(default_factory=dict)
    other_emails: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    location: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    last_event: float | None = None
    consent: Consent = field(default_factory=Consent)
    lists: dict[str, float] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """An identifier or plain attribute, or None."""
        return self.identifiers.get(name) or self.attributes.get(name)


class Clash(Exception):
    """An identifier belongs to ``other``, not to the profile that was to be changed."""

    def __init__(self, identifier: str, other: Profile) -> None:
        self.identifier = identifier
        self.other = other
        super().__init__(f"{identifier} belongs to {other.id}")


class Profiles:
    """All profiles of an account, found by id and by each identifier."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._by_id: dict[str, Profile] = {}
        self._owners: dict[tuple[str, str], Profile] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._by_id.values())

    def get(self, identifier: str) -> Profile | None:
        """The profile with that id."""
        return self._by_id.get(identifier)

    def owner(self, name: str, value: str) -> Profile | None:
        """The profile that has this identifier, as its own or as a further email."""
        return self._owners.get(_key(name, value))

    def owners(self, attributes: Mapping[str, Any]) -> list[tuple[str, Profile]]:
        """Whom the identifiers in ``attributes`` name, most believed first, each profile once."""
        found: list[tuple[str, Profile]] = []
        for name in IDENTIFIERS:
            value = attributes.get(name)
            owner = self._owners.get(_key(name, value)) if value else None
            if owner is not None and all(owner is not each for _, each in found):
                found.append((name, owner))
        return found

    def create(self, now: float) -> Profile:
        """A new profile without anything."""
        self._number += 1
        profile = Profile(self._ids.ulid("profile", now), self._number, now, now)
        self._by_id[profile.id] = profile
        return profile

    def identify(self, profile: Profile, name: str, value: str | None) -> None:
        """Set or (None) clear an identifier; raises ``Clash`` when it is another's."""
        old = profile.identifiers.get(name)
        if value:
            owner = self._owners.get(_key(name, value))
            if owner is not None and owner is not profile:
                raise Clash(name, owner)
        if old:
            self._owners.pop(_key(name, old), None)
            del profile.identifiers[name]
        if value:
            self._owners[_key(name, value)] = profile
            profile.identifiers[name] = value

    def add_email(self, profile: Profile, email: str) -> None:
        """Give a further email; raises ``Clash`` when it is another's."""
        owner = self.owner("email", email)
        if owner is not None and owner is not profile:
            raise Clash("email", owner)
        if owner is None:
            self._owners[_key("email", email)] = profile
            profile.other_emails.append(email)

    def drop_email(self, profile: Profile, email: str) -> None:
        """Take a further email away; the main one stays."""
        kept = [each for each in profile.other_emails if each.lower() != email.lower()]
        if len(kept) < len(profile.other_emails):
            profile.other_emails = kept
            self._owners.pop(_key("email", email), None)

    def delete(self, profile: Profile) -> None:
        """Forget the profile and all its identifiers."""
        for name, value in profile.identifiers.items():
            self._owners.pop(_key(name, value), None)
        for email in profile.other_emails:
            self._owners.pop(_key("email", email), None)
        self._by_id.pop(profile.id, None)

    def merge(self, source: Profile, target: Profile, now: float) -> None:
        """Give ``target`` what it lacks from ``source``, then delete ``source``."""
        self.delete(source)
        for name, value in source.identifiers.items():
            if name not in target.identifiers:
                self.identify(target, name, value)
            elif name == "email":
                self.add_email(target, value)
        for email in source.other_emails:
            self.add_email(target, email)
        target.attributes = source.attributes | target.attributes
        target.location = source.location | target.location
        target.properties = source.properties | target.properties
        target.lists = source.lists | target.lists
        target.consent.adopt(source.consent)
        target.updated = now


def check(
    profiles: Profiles,
    profile: Profile | None,
    attributes: Mapping[str, Any],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Raise ``Clash`` if an identifier to be written belongs to any other profile."""
    for name, owner in profiles.owners(attributes):
        if owner is not profile:
            raise Clash(name, owner)
    for email in _appended_emails(meta):
        other = profiles.owner("email", email)
        if other is not None and other is not profile:
            raise Clash("email", other)


def apply(
    profiles: Profiles,
    profile: Profile,
    attributes: Mapping[str, Any],
    now: float,
    *,
    nulls: bool = True,
) -> None:
    """Write attributes: what is given is set, null clears (``nulls=False``: is ignored).

    An identifier that belongs to another profile is left out; ``check`` first to refuse it.
    """
    for name in IDENTIFIERS:
        value = attributes.get(name)
        if name not in attributes or (value is None and not nulls):
            continue
        owner = profiles.owner(name, value) if value else None
        known = name == "email" and value in profile.other_emails
        if owner in (None, profile) and not known:
            profiles.identify(profile, name, value)
    chosen = {name: attributes[name] for name in PLAIN if name in attributes}
    _write(profile.attributes, chosen, nulls=nulls)
    _part(profile.location, attributes, "location", nulls=nulls)
    _part(profile.properties, attributes, "properties", nulls=nulls)
    profile.updated = now


def patch(profiles: Profiles, profile: Profile, meta: Mapping[str, Any] | None) -> None:
    """Apply ``patch_properties`` and ``patch_identifiers``; raises ``Clash``."""
    for email in _appended_emails(meta):
        profiles.add_email(profile, email)
    identifiers = (meta or {}).get("patch_identifiers") or {}
    for email in _listed((identifiers.get("unappend") or {}).get("email")):
        profiles.drop_email(profile, email)
    changes = (meta or {}).get("patch_properties") or {}
    for key, value in (changes.get("append") or {}).items():
        held = _listed(profile.properties.get(key))
        new = [each for each in _listed(value) if each not in held]
        profile.properties[key] = [*held, *new]
    for key, value in (changes.get("unappend") or {}).items():
        if key in profile.properties:
            gone = _listed(value)
            held = _listed(profile.properties[key])
            profile.properties[key] = [each for each in held if each not in gone]
    for key in _listed(changes.get("unset")):
        profile.properties.pop(key, None)


def _part(held: dict[str, Any], attributes: Mapping[str, Any], name: str, *, nulls: bool) -> None:
    given = attributes.get(name, {})
    if given is None:
        if nulls:
            held.clear()
        return
    _write(held, given, nulls=nulls)


def _write(held: dict[str, Any], given: Mapping[str, Any], *, nulls: bool) -> None:
    for key, value in given.items():
        if value is not None:
            held[key] = value
        elif nulls:
            held.pop(key, None)


def _appended_emails(meta: Mapping[str, Any] | None) -> list[str]:
    identifiers = (meta or {}).get("patch_identifiers") or {}
    return [str(each) for each in _listed((identifiers.get("append") or {}).get("email"))]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _key(name: str, value: str) -> tuple[str, str]:
    return name, value.lower() if name == "email" else value

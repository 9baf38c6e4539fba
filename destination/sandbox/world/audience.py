"""Whom a campaign reaches."""

from __future__ import annotations

from destination.sandbox.world.account import Account
from destination.sandbox.world.campaigns import REACH, Campaign
from destination.sandbox.world.profiles import Profile


def audience(account: Account, campaign: Campaign) -> list[Profile]:
    """Who would get it: in an included group, in no excluded one, and reachable; each once."""
    included = _members(account, campaign.audiences.get("included") or [])
    excluded = set(_members(account, campaign.audiences.get("excluded") or []))
    channel, address = REACH[campaign.channel]
    found = [account.profiles.get(each) for each in dict.fromkeys(included) if each not in excluded]
    return [
        profile
        for profile in found
        if profile is not None
        and (address is None or address in profile.identifiers)
        and profile.consent.reaches(channel)
    ]


def _members(account: Account, groups: list[str]) -> list[str]:
    found: list[str] = []
    for identifier in groups:
        group = account.lists.get(identifier) or account.segments.get(identifier)
        found += group.members if group else []
    return found

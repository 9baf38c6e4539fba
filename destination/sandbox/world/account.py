"""All that one Klaviyo account holds."""

from __future__ import annotations

from dataclasses import dataclass

from destination.sandbox.world.campaigns import Campaign, Message
from destination.sandbox.world.events import Events, Metrics
from destination.sandbox.world.ids import Ids
from destination.sandbox.world.jobs import Jobs
from destination.sandbox.world.lists import Groups
from destination.sandbox.world.profiles import Profile, Profiles
from destination.sandbox.world.schedule import Schedule
from destination.sandbox.world.tags import Tag, TagGroup
from destination.sandbox.world.templates import Template


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that Klaviyo would have sent by itself."""

    kind: str
    email: str
    list: str | None
    sent: float


@dataclass(frozen=True, slots=True)
class Pending:
    """A subscription that waits for the person to confirm it."""

    profile: str
    channel: str
    list: str | None
    source: str | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something that was accepted with a 202 and then thrown away without a word."""

    what: str
    reason: str
    at: float


class Account:
    """The state of one account; ``name`` tells accounts apart in the control API."""

    def __init__(self, name: str, seed: str) -> None:
        self.name = name
        self.ids = Ids(f"{seed}/{name}")
        self.schedule = Schedule()
        self.profiles = Profiles(self.ids)
        self.lists = Groups()
        self.segments = Groups()
        self.metrics = Metrics(self.ids)
        self.events = Events(self.ids)
        self.jobs = Jobs()
        self.mails: list[Mail] = []
        self.pending: list[Pending] = []
        self.dropped: list[Dropped] = []
        self.merged: dict[str, str] = {}
        self.templates: dict[str, Template] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.messages: dict[str, Message] = {}
        default = TagGroup(self.ids.uuid("tag-group"), 1, "Default", default=True)
        self.tag_groups: dict[str, TagGroup] = {default.id: default}
        self.tags: dict[str, Tag] = {}

    def erase(self, profile: Profile) -> None:
        """Delete a profile with its memberships; its events stay, with no one to belong to."""
        for groups in (self.lists, self.segments):
            for group in groups:
                group.members.pop(profile.id, None)
        self.events.move(profile.id, None)
        self.profiles.delete(profile)

    def merge(self, source: Profile, target: Profile, now: float) -> None:
        """Merge ``source`` into ``target``, with memberships and events."""
        for groups in (self.lists, self.segments):
            for group in groups:
                joined = group.members.pop(source.id, None)
                if joined is not None:
                    group.members.setdefault(target.id, joined)
        self.events.move(source.id, target.id)
        self.profiles.merge(source, target, now)
        self.merged[source.id] = target.id

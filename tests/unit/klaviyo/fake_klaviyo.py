"""A small Klaviyo for property tests: profiles, a list, events, consent and import jobs.

It refuses bulk requests whole, counts an event once, and fails as told: ``faults`` holds what goes
wrong with the next requests, the rest succeed. ``before`` and ``after`` lose the answer before or
after the request was applied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from destination.errors import NoRoom, Unanswered
from destination.sending import Request, Response
from tests.unit.klaviyo.klaviyo_script import answer, refusal

Fault = Literal["", "before", "after", "429", "500", "503 html", "403 html", "no room"]
IDENTIFIERS = ("email", "phone_number", "external_id")
BAD = "bad"
"""A first name, metric or address part that this Klaviyo refuses."""


@dataclass
class FakeKlaviyo:
    """The state of an account."""

    faults: list[Fault] = field(default_factory=list)
    points: bool = True
    names_conflicts: bool = True
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    subscribed: set[str] = field(default_factory=set)
    unsubscribed: set[str] = field(default_factory=set)
    globally: set[str] = field(default_factory=set)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    jobs: list[list[dict[str, Any]]] = field(default_factory=list)
    requests: int = 0

    def __call__(self, request: Request) -> Response:
        """The answer, or an error in its place."""
        self.requests += 1
        fault = self.faults.pop(0) if self.faults else ""
        match fault:
            case "before":
                raise Unanswered("connection refused")
            case "no room":
                raise NoRoom(0.5, request.operation)
            case "429":
                return answer(429, retry_after="1")
            case "500":
                return refusal(500)
            case "503 html" | "403 html":
                return answer(int(fault[:3]), "<html>")
        response: Response = getattr(self, request.operation)(request)
        if fault == "after":
            raise Unanswered("connection reset")
        return response

    # profiles

    def create_profile(self, request: Request) -> Response:
        """Make a profile, or a conflict."""
        found = request.json["data"]["attributes"]
        if refused(found):
            return refusal(400, "/data/attributes/first_name")
        known = self.known(found)
        if known:
            meta = {"duplicate_profile_id": known[0]} if self.names_conflicts else {}
            return refusal(409, code="duplicate_profile", **meta)
        return answer(201, {"data": {"type": "profile", "id": self.save(found)}})

    def update_profile(self, request: Request) -> Response:
        """Change a profile, or a conflict with another."""
        id_, found = request.json["data"]["id"], request.json["data"]["attributes"]
        if set(self.known(found)) - {id_}:
            return refusal(409)
        self.write(id_, found)
        return answer(200, {"data": {"type": "profile", "id": id_}})

    def get_profiles(self, request: Request) -> Response:
        """The profiles that have a value of the filter."""
        return self.page(request, self.profiles)

    def get_profiles_for_list(self, request: Request) -> Response:
        """The same among the members."""
        return self.page(request, self.members)

    def page(self, request: Request, ids: Iterable[str]) -> Response:
        """Two profiles to a page."""
        name, _, values = request.query["filter"].removeprefix("any(").partition(",")
        wanted = json.loads(values.removesuffix(")"))
        hits = [
            {"type": "profile", "id": id_, "attributes": self.profiles[id_]}
            for id_ in sorted(ids)
            if self.profiles[id_].get(name) in wanted
        ]
        start = int(request.query.get("page[cursor]", "0"))
        more = f"https://a.example/?page%5Bcursor%5D={start + 2}" if start + 2 < len(hits) else None
        return answer(200, {"data": hits[start : start + 2], "links": {"next": more}})

    def known(self, found: dict[str, Any]) -> list[str]:
        """The profiles that have one of the identifiers."""
        return [
            id_
            for id_, each in self.profiles.items()
            if any(name in found and each.get(name) == found[name] for name in IDENTIFIERS)
        ]

    def save(self, found: dict[str, Any]) -> str:
        """Create or update; the id."""
        known = self.known(found)
        id_ = known[0] if known else f"P{len(self.profiles)}"
        self.write(id_, found)
        return id_

    def write(self, id_: str, found: dict[str, Any]) -> None:
        """Set attributes; properties are merged."""
        old = self.profiles.get(id_, {})
        properties = {**old.get("properties", {}), **found.get("properties", {})}
        self.profiles[id_] = {**old, **found, "properties": properties}

    # lists

    def add_profiles_to_list(self, request: Request) -> Response:
        """Make members."""
        self.members |= {each["id"] for each in request.json["data"]}
        return answer(204)

    def remove_profiles_from_list(self, request: Request) -> Response:
        """End memberships."""
        self.members -= {each["id"] for each in request.json["data"]}
        return answer(204)

    # jobs

    def bulk_import_profiles(self, request: Request) -> Response:
        """Take a job whole; what is odd about a row shows later."""
        rows = [
            each["attributes"] for each in request.json["data"]["attributes"]["profiles"]["data"]
        ]
        faulty = [place for place, each in enumerate(rows) if refused(each)]
        if faulty:
            return self.refuse("profiles", faulty)
        for found in rows:
            if "late" not in found.get("last_name", ""):
                id_ = self.save(found)
                if "relationships" in request.json["data"]:
                    self.members.add(id_)
        self.jobs.append(rows)
        return answer(202, {"data": {"id": str(len(self.jobs) - 1)}})

    def get_bulk_import_profiles_job(self, _request: Request) -> Response:
        """Jobs are done at once."""
        return answer(200, {"data": {"attributes": {"status": "complete"}}})

    def get_errors_for_bulk_import_profiles_job(self, request: Request) -> Response:
        """Rows that a job did not take."""
        rows = self.jobs[int(request.path.split("/")[3])]
        errors = [
            {
                "id": str(place),
                "attributes": {
                    "detail": "too late",
                    "source": {"pointer": f"/data/attributes/profiles/data/{place}"},
                },
            }
            for place, each in enumerate(rows)
            if "late" in each.get("last_name", "")
        ]
        return answer(200, {"data": errors})

    # events

    def create_event(self, request: Request) -> Response:
        """Record an event."""
        found = request.json["data"]["attributes"]
        if refused(found["profile"]["data"]["attributes"]):
            return refusal(400, "/data/attributes/profile/data/attributes/first_name")
        self.record(found["profile"], found)
        return answer(202)

    def bulk_create_events(self, request: Request) -> Response:
        """Record events, or none of them."""
        rows = [
            each["attributes"]
            for each in request.json["data"]["attributes"]["events-bulk-create"]["data"]
        ]
        faulty = [
            place
            for place, each in enumerate(rows)
            if refused(each["profile"]["data"]["attributes"])
        ]
        if faulty:
            return self.refuse("events-bulk-create", faulty)
        for row in rows:
            for each in row["events"]["data"]:
                self.record(row["profile"], each["attributes"])
        return answer(202)

    def record(self, who: dict[str, Any], found: dict[str, Any]) -> None:
        """Klaviyo keeps one event of each (profile, metric, unique id)."""
        name = found["metric"]["data"]["attributes"]["name"]
        key = (self.save(who["data"]["attributes"]), name, found["unique_id"])
        if key not in self.events:
            self.events.append(key)

    # consent

    def bulk_subscribe_profiles(self, request: Request) -> Response:
        """Give consent to all or to none."""
        return self.consent(request, self.subscribed)

    def bulk_unsubscribe_profiles(self, request: Request) -> Response:
        """Take it back; from everything whoever is not on the list."""
        response = self.consent(request, self.unsubscribed)
        if response.status == 202:
            emails = {self.profiles[each]["email"] for each in self.members}
            rows = request.json["data"]["attributes"]["profiles"]["data"]
            named = "relationships" in request.json["data"]
            sent = {each["attributes"]["email"] for each in rows}
            self.globally |= sent - emails if named else sent
        return response

    def consent(self, request: Request, register: set[str]) -> Response:
        """Write addresses down, unless one of them is bad."""
        rows = [
            each["attributes"] for each in request.json["data"]["attributes"]["profiles"]["data"]
        ]
        faulty = [place for place, each in enumerate(rows) if BAD in each["email"]]
        if faulty:
            return self.refuse("profiles", faulty)
        register |= {each["email"] for each in rows}
        return answer(202)

    def refuse(self, container: str, places: list[int]) -> Response:
        """A refusal that names the rows, or does not."""
        if not self.points:
            return refusal(400, "/data")
        return refusal(400, *(f"/data/attributes/{container}/data/{place}" for place in places))


def refused(found: dict[str, Any]) -> bool:
    """Whether a profile is one that is never taken."""
    return bool(found.get("first_name") == BAD)

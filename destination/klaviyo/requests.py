"""One function per request that we make to Klaviyo, named by its operation id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from msgspec.structs import replace

from destination.event import encode
from destination.klaviyo.limits import PAGE
from destination.klaviyo.model import Json, profile
from destination.klaviyo.resources import BulkEvents, Data, Event, EventAttributes, Profile
from destination.sending import Request, Response


def _segment(text: str) -> str:
    # Dots too: a client would resolve an id of ".." as a path.
    return quote(text, safe="").replace(".", "%2E")


def _refs(kind: str, ids: Iterable[str]) -> list[Json]:
    return [{"type": kind, "id": each} for each in ids]


def literal(text: str) -> str:
    """A string literal of Klaviyo's filter language."""
    return encode(text).decode()


def equals(field: str, value: str) -> str:
    """The filter ``equals(field,"value")``."""
    return f"equals({field},{literal(value)})"


def any_of(field: str, values: Iterable[str]) -> str:
    """The filter ``any(field,["a","b"])``."""
    return f"any({field},[{','.join(literal(value) for value in values)}])"


def _page(size: int, cursor: str, **query: str) -> dict[str, str]:
    named = {name: value for name, value in query.items() if value}
    return {**named, "page[size]": str(size), **({"page[cursor]": cursor} if cursor else {})}


def next_cursor(response: Response) -> str:
    """The cursor of the next page, empty on the last one.

    Only the cursor is taken from ``links.next``: the address in it is never followed.
    """
    body = response.json()
    links = body.get("links") if isinstance(body, dict) else None
    following = links.get("next") if isinstance(links, dict) else None
    if not isinstance(following, str):
        return ""
    try:
        query = parse_qs(urlsplit(following).query)
    except ValueError:
        return ""
    return query.get("page[cursor]", [""])[0]


def get_accounts() -> Request:
    """The cheapest call that needs a key."""
    return Request("GET", "/api/accounts", "get_accounts")


def create_profile(attributes: Json) -> Request:
    """Makes a profile; 409 when one of its identifiers is taken."""
    return Request("POST", "/api/profiles", "create_profile", {"data": profile(attributes)})


def update_profile(id: str, attributes: Json) -> Request:  # noqa: A002 - JSON:API's word
    """Changes the profile with that id; null clears an attribute."""
    body = {"data": profile(attributes, id=id)}
    return Request("PATCH", f"/api/profiles/{_segment(id)}", "update_profile", body)


def create_or_update_profile(attributes: Json, meta: Json, id: str = "") -> Request:  # noqa: A002 - as above
    """Makes or changes a profile, the only call that creates and takes property operations or a
    ``_kx``.
    """
    body = {"data": profile(attributes, id=id, meta=meta)}
    return Request("POST", "/api/profile-import", "create_or_update_profile", body)


def get_profiles(filter: str, cursor: str = "") -> Request:  # noqa: A002 - Klaviyo's word
    """A page of the profiles that a filter selects."""
    return Request("GET", "/api/profiles", "get_profiles", query=_page(PAGE, cursor, filter=filter))


def merge_profiles(destination: str, source: str) -> Request:
    """Moves everything of ``source`` into ``destination`` and deletes ``source``."""
    data = {
        "type": "profile-merge",
        "id": destination,
        "relationships": {"profiles": {"data": _refs("profile", [source])}},
    }
    return Request("POST", "/api/profile-merge", "merge_profiles", {"data": data})


def bulk_import_profiles(profiles: Sequence[Profile], list_id: str) -> Request:
    """A job that makes or changes up to 10,000 profiles and may add them to a list."""
    data: Json = {
        "type": "profile-bulk-import-job",
        "attributes": {"profiles": {"data": list(profiles)}},
    }
    if list_id:
        data["relationships"] = {"lists": {"data": _refs("list", [list_id])}}
    path = "/api/profile-bulk-import-jobs"
    return Request("POST", path, "bulk_import_profiles", {"data": data})


def get_bulk_import_profiles_job(job: str) -> Request:
    """How far an import job is."""
    path = f"/api/profile-bulk-import-jobs/{_segment(job)}"
    return Request("GET", path, "get_bulk_import_profiles_job")


def get_errors_for_bulk_import_profiles_job(job: str, cursor: str = "") -> Request:
    """A page of the rows that an import job could not take."""
    return Request(
        "GET",
        f"/api/profile-bulk-import-jobs/{_segment(job)}/import-errors",
        "get_errors_for_bulk_import_profiles_job",
        query=_page(PAGE, cursor),
    )


def create_event(attributes: EventAttributes, who: Profile) -> Request:
    """Records one event of a profile."""
    event = Event(replace(attributes, profile=Data(who)))
    return Request("POST", "/api/events", "create_event", Data(event))


def bulk_create_events(events: Sequence[BulkEvents]) -> Request:
    """Records up to 1,000 events."""
    data = {
        "type": "event-bulk-create-job",
        "attributes": {"events-bulk-create": Data(events)},
    }
    return Request("POST", "/api/event-bulk-create-jobs", "bulk_create_events", {"data": data})


def get_lists(filter: str = "", cursor: str = "") -> Request:  # noqa: A002 - Klaviyo's word
    """A page of the account's lists: ten, which is the most and the default.

    Revisions before 2026-04-15 know no ``page[size]`` here.
    """
    query = {"filter": filter, "page[cursor]": cursor}
    return Request("GET", "/api/lists", "get_lists", query={k: v for k, v in query.items() if v})


def get_list(id: str) -> Request:  # noqa: A002 - JSON:API's word
    """One list."""
    return Request("GET", f"/api/lists/{_segment(id)}", "get_list")


def create_list(name: str) -> Request:
    """Makes a list; Klaviyo allows 150 a day."""
    data = {"type": "list", "attributes": {"name": name}}
    return Request("POST", "/api/lists", "create_list", {"data": data})


def get_profiles_for_list(id: str, filter: str, cursor: str = "") -> Request:  # noqa: A002 - as above
    """A page of the members of a list that a filter selects."""
    query = _page(PAGE, cursor, filter=filter)
    path = f"/api/lists/{_segment(id)}/profiles"
    return Request("GET", path, "get_profiles_for_list", query=query)


def _members(method: str, operation: str, id: str, profiles: Iterable[str]) -> Request:  # noqa: A002
    path = f"/api/lists/{_segment(id)}/relationships/profiles"
    return Request(method, path, operation, {"data": _refs("profile", profiles)})


def add_profiles_to_list(id: str, profiles: Iterable[str]) -> Request:  # noqa: A002 - as above
    """Makes up to 1,000 profiles members of a list, without consent."""
    return _members("POST", "add_profiles_to_list", id, profiles)


def remove_profiles_from_list(id: str, profiles: Iterable[str]) -> Request:  # noqa: A002 - as above
    """Ends the membership of up to 1,000 profiles, without a change of consent."""
    return _members("DELETE", "remove_profiles_from_list", id, profiles)


def _subscriptions(kind: str, attributes: Json, list_id: str) -> Json:
    data: Json = {"type": kind, "attributes": attributes}
    if list_id:
        data["relationships"] = {"list": {"data": {"type": "list", "id": list_id}}}
    return {"data": data}


def bulk_subscribe_profiles(
    profiles: Sequence[Profile], list_id: str, source: str, *, historical: bool
) -> Request:
    """Gives consent for up to 1,000 profiles, the only request of ours that does."""
    attributes = {
        "profiles": {"data": list(profiles)},
        "custom_source": source,
        "historical_import": historical,
    }
    kind = "profile-subscription-bulk-create-job"
    body = _subscriptions(kind, attributes, list_id)
    return Request("POST", f"/api/{kind}s", "bulk_subscribe_profiles", body)


def bulk_unsubscribe_profiles(profiles: Sequence[Profile], list_id: str) -> Request:
    """Takes consent back for up to 100 profiles.

    Whoever is not on ``list_id``, and everybody when it is empty, is unsubscribed from everything.
    """
    kind = "profile-subscription-bulk-delete-job"
    body = _subscriptions(kind, {"profiles": {"data": list(profiles)}}, list_id)
    return Request("POST", f"/api/{kind}s", "bulk_unsubscribe_profiles", body)


def _suppression(kind: str, operation: str, emails: Iterable[str]) -> Request:
    profiles = [profile({"email": each}) for each in emails]
    body = {"data": {"type": kind, "attributes": {"profiles": {"data": profiles}}}}
    return Request("POST", f"/api/{kind}s", operation, body)


def bulk_suppress_profiles(emails: Iterable[str]) -> Request:
    """Stops all marketing to up to 100 addresses."""
    return _suppression("profile-suppression-bulk-create-job", "bulk_suppress_profiles", emails)


def bulk_unsuppress_profiles(emails: Iterable[str]) -> Request:
    """Lifts suppressions that were put by hand or by API from up to 100 addresses."""
    return _suppression("profile-suppression-bulk-delete-job", "bulk_unsuppress_profiles", emails)


def get_bulk_suppress_profiles_job(job: str) -> Request:
    """How far a job that puts suppressions is."""
    path = f"/api/profile-suppression-bulk-create-jobs/{_segment(job)}"
    return Request("GET", path, "get_bulk_suppress_profiles_job")


def get_bulk_unsuppress_profiles_job(job: str) -> Request:
    """How far a job that lifts suppressions is."""
    path = f"/api/profile-suppression-bulk-delete-jobs/{_segment(job)}"
    return Request("GET", path, "get_bulk_unsuppress_profiles_job")


def request_profile_deletion(name: str, value: str) -> Request:
    """Deletes everything Klaviyo has of the profile with that ``email``, ``phone_number`` or ``id``."""
    who = profile({}, id=value) if name == "id" else profile({name: value})
    kind = "data-privacy-deletion-job"
    data: Any = {"type": kind, "attributes": {"profile": {"data": who}}}
    return Request("POST", f"/api/{kind}s", "request_profile_deletion", {"data": data})

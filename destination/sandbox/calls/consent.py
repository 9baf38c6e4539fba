"""Subscribe and unsubscribe: accepted with an empty 202, done later, and nothing to poll."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from destination.sandbox.calls.call import ACCEPTED, Answer, Call, Handler
from destination.sandbox.calls.profiles import PARTIAL
from destination.sandbox.calls.rules import check_identifiers, lacks_identifier, no_identifier
from destination.sandbox.clock import moment
from destination.sandbox.errors import Problem, Refused, invalid
from destination.sandbox.switches import Switches
from destination.sandbox.world.account import Account, Dropped
from destination.sandbox.world.lists import Group
from destination.sandbox.world.profiles import Profile, apply
from destination.sandbox.world.subscribing import subscribe, unsubscribe

PLACE = "/data/attributes/profiles/data"
MOST_SUBSCRIBED, MOST_UNSUBSCRIBED = 1000, 100
NAMES = ("email", "phone_number")
# Which identifier a channel speaks to; push goes to tokens.
NEEDED = {"email": "email", "sms": "phone_number", "whatsapp": "phone_number"}
HISTORICAL = "Historical {} subscription does not have a valid consented_at timestamp"
NO_SMS = "SMS configuration is required to subscribe phone number only profiles."

Row = tuple[str | None, dict[str, Any], dict[str, float | None]]


def bulk_subscribe_profiles(call: Call) -> Answer:
    """POST /profile-subscription-bulk-create-jobs."""
    attributes = call.body["data"]["attributes"]
    group = _list(call)
    historical = bool(attributes.get("historical_import"))
    rows, dropped = _rows(call, MOST_SUBSCRIBED, subscribing=True, historical=historical)
    opt_in = group.opt_in if group else call.switches.account_opt_in
    work = partial(
        _subscribe_all,
        call.account,
        rows,
        group,
        source=attributes.get("custom_source"),
        double=opt_in == "double_opt_in" and not historical,
        again=call.switches.confirm_again,
    )
    call.account.schedule.at(call.now + call.switches.consent_seconds, work)
    return Answer(202, None, PARTIAL) if dropped else ACCEPTED


def bulk_unsubscribe_profiles(call: Call) -> Answer:
    """POST /profile-subscription-bulk-delete-jobs: who is not on the list is unsubscribed globally."""
    group = _list(call)
    rows, dropped = _rows(call, MOST_UNSUBSCRIBED, subscribing=False, historical=False)
    work = partial(_unsubscribe_all, call.account, rows, group, call.switches)
    call.account.schedule.at(call.now + call.switches.consent_seconds, work)
    return Answer(202, None, PARTIAL) if dropped else ACCEPTED


def _list(call: Call) -> Group | None:
    wanted = call.body["data"].get("relationships", {}).get("list", {}).get("data")
    if wanted is None:
        return None
    group = call.account.lists.get(wanted["id"])
    if group is None:
        raise invalid(f"List not found: {wanted['id'][:60]}", "/data/relationships/list/data/id")
    return group


def _rows(call: Call, most: int, *, subscribing: bool, historical: bool) -> tuple[list[Row], bool]:
    """The rows, and whether a phone number was thrown away; raises ``Refused`` (400)."""
    given = call.body["data"]["attributes"]["profiles"]["data"]
    if not 1 <= len(given) <= most:
        raise invalid(f"1 to {most} profiles must be given, not {len(given)}.", PLACE)
    rows: list[Row] = []
    problems: list[Problem] = []
    any_dropped = False
    for index, row in enumerate(given):
        pointer = f"{PLACE}/{index}/attributes"
        known = {**row["attributes"], "id": row.get("id")}
        found, dropped = _check_person(call, known, pointer)
        channels = dict(_channels(known["subscriptions"]))
        if dropped:
            channels = {name: at for name, at in channels.items() if name.startswith("email")}
        if not found:
            found = list(_check_addresses(known, channels, pointer))
        if subscribing and not found:
            found += _check_times(channels, pointer, call.now, historical=historical)
            found += _check_sms(known, channels, pointer, call.switches)
        problems += found
        any_dropped = any_dropped or dropped
        rows.append((row.get("id"), {name: known.get(name) for name in NAMES}, channels))
    if problems:
        raise Refused(400, problems)
    return rows, any_dropped


def _check_person(call: Call, known: dict[str, Any], pointer: str) -> tuple[list[Problem], bool]:
    names = (*NAMES, "id") if known["id"] else NAMES
    forgive = call.switches.partial_failure
    found, dropped = check_identifiers(known, pointer, forgive_phone=forgive, names=names)
    if lacks_identifier(known, names) and not found:
        found.append(no_identifier(pointer, NAMES))
    if not any(_channels(known["subscriptions"])):
        found.append(Problem("At least one channel must be given.", f"{pointer}/subscriptions"))
    return found, dropped


def _channels(subscriptions: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """``("email.marketing", consented_at or None)`` for every channel that is spoken of."""
    for medium, uses in subscriptions.items():
        for use, detail in (uses or {}).items():
            if isinstance(detail, dict) and "consent" in detail:
                yield f"{medium}.{use}", detail.get("consented_at")


def _check_addresses(
    known: Mapping[str, Any], channels: Mapping[str, Any], pointer: str
) -> Iterator[Problem]:
    for name in channels:
        medium = name.partition(".")[0]
        needed = NEEDED.get(medium)
        if needed and not known.get(needed) and not known.get("id"):
            detail = f"{needed} is required for the channel {medium}."
            yield Problem(detail, f"{pointer}/subscriptions/{medium}")


def _check_times(
    channels: dict[str, Any], pointer: str, now: float, *, historical: bool
) -> Iterator[Problem]:
    for name, text in channels.items():
        medium, _, use = name.partition(".")
        place = f"{pointer}/subscriptions/{medium}/{use}/consented_at"
        if use == "open_tracking":
            continue
        if historical and (text is None or moment(text) > now):
            yield Problem(HISTORICAL.format(medium), place)
        elif not historical and text is not None:
            yield Problem("consented_at may be given only with historical_import.", place)
        else:
            channels[name] = None if text is None else moment(text)


def _check_sms(
    known: Mapping[str, Any], channels: Mapping[str, Any], pointer: str, switches: Switches
) -> Iterator[Problem]:
    if not any(name.startswith("sms.") for name in channels):
        return
    phone = known.get("phone_number") or ""
    if not switches.sms_set_up and not known.get("email"):
        yield Problem(NO_SMS, f"{pointer}/phone_number")
    prefixes = tuple(each for each in switches.sms_prefixes.split(",") if each)
    if phone and prefixes and not phone.startswith(prefixes):
        detail = "The phone number is in a region for which no sending number is set up."
        yield Problem(detail, f"{pointer}/phone_number")
    if switches.age_gated and not known.get("age_gated_date_of_birth"):
        detail = "age_gated_date_of_birth is required to subscribe to SMS."
        yield Problem(detail, f"{pointer}/age_gated_date_of_birth")


def _subscribe_all(
    account: Account,
    rows: list[Row],
    group: Group | None,
    due: float,
    *,
    source: str | None,
    double: bool,
    again: bool,
) -> None:
    for identifier, attributes, channels in rows:
        profile = _whom(account, identifier, attributes) if identifier else None
        if identifier and profile is None:
            account.dropped.append(Dropped("subscribe", f"unknown profile id {identifier}", due))
            continue
        profile = profile or _whom(account, None, attributes) or account.profiles.create(due)
        apply(account.profiles, profile, attributes, due, nulls=False)
        subscribe(account, profile, channels, group, due, source=source, double=double, again=again)


def _unsubscribe_all(
    account: Account, rows: list[Row], group: Group | None, switches: Switches, due: float
) -> None:
    for identifier, attributes, channels in rows:
        profile = _whom(account, identifier, attributes)
        if profile is None:
            if switches.unsubscribe_unknown == "ignore":
                account.dropped.append(Dropped("unsubscribe", "unknown profile", due))
                continue
            profile = account.profiles.create(due)
            apply(account.profiles, profile, attributes, due, nulls=False)
        unsubscribe(
            profile, list(channels), group, due, globally=switches.unsubscribe_member == "global"
        )


def _whom(
    account: Account, identifier: str | None, attributes: Mapping[str, Any]
) -> Profile | None:
    if identifier:
        return account.profiles.get(identifier)
    owners = account.profiles.owners(attributes)
    return owners[0][1] if owners else None


HANDLERS: Mapping[str, Handler] = {
    "bulk_subscribe_profiles": bulk_subscribe_profiles,
    "bulk_unsubscribe_profiles": bulk_unsubscribe_profiles,
}

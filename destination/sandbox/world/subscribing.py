"""What a subscription does to a profile, at once or once it is confirmed."""

from __future__ import annotations

from collections.abc import Mapping

from destination.sandbox.world.account import Account, Mail, Pending
from destination.sandbox.world.consent import SUBSCRIBED
from destination.sandbox.world.lists import Group, join, leave
from destination.sandbox.world.profiles import Profile

# On these a person is asked to confirm, when the list or account says so.
ASKED = ("email.marketing", "sms.marketing")


def subscribe(
    account: Account,
    profile: Profile,
    channels: Mapping[str, float | None],
    group: Group | None,
    now: float,
    *,
    source: str | None,
    double: bool,
    again: bool,
) -> None:
    """Subscribe to ``channels`` (name -> when consent was given, None: now).

    With ``double`` a mail asks for confirmation and nothing changes until ``confirm``; one who is
    subscribed already is asked only if ``again``.
    """
    waits = False
    for name, given in channels.items():
        known = profile.consent.channel(name).consent == SUBSCRIBED
        if double and name in ASKED and (again or not known):
            waits = True
            _ask(account, profile, name, group, now, source=source)
        else:
            profile.consent.subscribe(
                name, now, now if given is None else given, source=source, double=False
            )
    if not waits:
        _enter(profile, group, now)


def confirm(account: Account, profile: Profile, list_id: str | None, now: float) -> int:
    """Confirm what the profile was asked about (for one list, or all of it); how many."""
    mine = [
        each
        for each in account.pending
        if each.profile == profile.id and list_id in {None, each.list}
    ]
    for each in mine:
        account.pending.remove(each)
        profile.consent.subscribe(each.channel, now, now, source=each.source, double=True)
        _enter(profile, account.lists.get(each.list or ""), now)
    return len(mine)


def unsubscribe(
    profile: Profile, channels: list[str], group: Group | None, now: float, *, globally: bool
) -> None:
    """Unsubscribe: from the list alone for a member of it (unless ``globally``), else everywhere."""
    member = group is not None and profile.id in group.members
    if group is not None and member:
        leave(group, profile)
    for name in channels:
        if group is not None and member and not globally and name == "email.marketing":
            profile.consent.list_suppressed.setdefault((group.id, "UNSUBSCRIBE"), now)
        else:
            profile.consent.unsubscribe(name, now)


def _ask(
    account: Account,
    profile: Profile,
    channel: str,
    group: Group | None,
    now: float,
    *,
    source: str | None,
) -> None:
    list_id = group.id if group else None
    pending = Pending(profile.id, channel, list_id, source)
    if pending not in account.pending:
        account.pending.append(pending)
    medium = channel.partition(".")[0]
    address = profile.identifiers.get("email" if medium == "email" else "phone_number", "")
    account.mails.append(Mail(f"double_opt_in_{medium}", address, list_id, now))


def _enter(profile: Profile, group: Group | None, now: float) -> None:
    if group is None:
        return
    join(group, profile, now)
    profile.consent.list_suppressed.pop((group.id, "UNSUBSCRIBE"), None)

"""What ``destination audience mirror`` says: the plan, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from destination.klaviyo.mirror import Plan, key_of
from destination.runtime.files.mirror import Audience

SHOWN = 10
"""People of each kind that a plan shows; --format json shows all."""


def told_of(id_: str, name: str, planned: Plan, found: Audience) -> dict[str, Any]:
    """What a plan comes to, as JSON values: what is printed, and what --format json shows."""
    return {
        "list": {"id": id_, "name": name},
        "rows": found.rows,
        "wanted": planned.wanted,
        "doubles": found.wanted.doubles,
        "members": planned.members,
        "unchanged": len(planned.present),
        "add": [_who(person.row) for person in planned.add],
        "remove": [_who(member.identifiers) for member in planned.remove],
        "kept_out": [{**_who(person.row), "reason": reason} for person, reason in planned.kept_out],
        "stuck": [member.id for member in planned.stuck],
        "rejected": found.rejected,
        "reasons": [
            {"line": line, "code": code, "message": text} for line, code, text in found.first
        ],
    }


def _who(identifiers: Any) -> dict[str, str]:
    name = key_of(identifiers)
    return {name: identifiers[name]}


def print_plan(told: dict[str, Any]) -> None:
    """Print a plan, the first people of each kind by name."""
    place = told["list"]
    click.echo(
        f"{place['name']} ({place['id']}): {told['members']:,} members, {told['wanted']:,} wanted"
        f" ({told['rows']:,} rows, {told['doubles']:,} of them double)"
    )
    click.echo(f"  unchanged {told['unchanged']:>9,}")
    for name, title in (("add", "add"), ("remove", "remove"), ("kept_out", "kept out")):
        people = told[name]
        click.echo(f"  {title:<9} {len(people):>9,}")
        for each in people[:SHOWN]:
            click.echo("      " + "  ".join(each.values()))
        if len(people) > SHOWN:
            click.echo("      ...")
    for each in told["stuck"]:
        click.echo(f"  cannot be removed: profile {each} has no identifier")
    if told["rejected"]:
        click.echo(f"  rejected  {told['rejected']:>9,}")
        for each in told["reasons"]:
            click.echo(f"      line {each['line']:,}: {each['code']}: {each['message']}")


def print_end(told: dict[str, Any], rejects: Path, *, dry_run: bool) -> None:
    """Print what was done about it."""
    if told["rejected"]:
        click.echo(f"The rejected rows are in {rejects}.")
    if told["held"]:
        click.echo(f"Held: {told['held']}. Nothing was changed.")
    elif dry_run:
        click.echo("Nothing was changed.")
    else:
        _print_posted(told["posted"], told.get("not_yet"))


def _print_posted(posted: dict[str, Any], not_yet: dict[str, int] | None) -> None:
    click.echo(f"{posted['accepted']:,} changes are stored and will be delivered.")
    if posted["unmatched"]:
        click.echo(f"{posted['unmatched']:,} of them no mapping wants: see docs/files.md.")
    for each in posted["rejected"][:SHOWN]:
        click.echo(f"rejected: {each}")
    if not_yet is None:
        return
    if any(not_yet.values()):
        click.echo(
            f"Not to be seen at Klaviyo yet: {not_yet['added']:,} additions,"
            f" {not_yet['removed']:,} removals; see `destination status` and `destination dead list`."
        )
    else:
        click.echo("The list is as wanted.")

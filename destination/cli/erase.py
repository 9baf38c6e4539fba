"""``destination erase``: forget a person."""

from __future__ import annotations

from pathlib import Path

import click

from destination.cli.parts import redis_of
from destination.errors import Rejected
from destination.event import encode
from destination.runtime.erasure.copies import copies_with
from destination.runtime.erasure.erase import Receipt, erase, vars_of
from destination.runtime.store import Scripts, connect
from destination.runtime.subject import subject
from destination.settings import load_settings


@click.command("erase")
@click.option("--email", help="Their e-mail address.")
@click.option("--phone", help="Their phone number, with its country code.")
@click.option("--user-id", help="Their userId.")
@click.option("--anonymous-id", help="Their anonymousId.")
@click.option("--connection", help="Only in this connection; in all by default.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where commands keep state.")
@click.option("--yes", is_flag=True, help="Erase; without it the numbers are only shown.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def erase_(
    email: str | None,
    phone: str | None,
    user_id: str | None,
    anonymous_id: str | None,
    connection: str | None,
    data_dir: Path | None,
    yes: bool,
    form: str,
) -> None:
    """Erase what stands here about a person: pending and dead deliveries, samples, memories.

    Give every identifier that is known; an event that holds one of them goes, and those that
    happened before and come later are dropped. Copies of audiences in this machine's data folder
    go too; your own files, and FILE.rejected.csv beside them, do not. What Klaviyo has is not
    touched: send a `delete` event, or delete the profile there, for that.
    """
    settings = load_settings(data_dir=data_dir)
    names = list(settings.connections)
    if connection is not None and connection not in names:
        known = ", ".join(names)
        raise click.UsageError(f"there is no connection {connection!r}; there are: {known}")
    try:
        who = subject(
            {"email": email, "phone": phone, "user_id": user_id, "anonymous_id": anonymous_id}
        )
    except Rejected as error:
        raise click.UsageError(error.message) from None
    copies = copies_with(settings.data_dir, who)
    client = connect(redis_of(settings))
    try:
        chosen = [connection] if connection else names
        for receipt in erase(Scripts(client), settings, who, chosen, dry=not yes):
            click.echo(encode(vars_of(receipt)) if form == "json" else _told(receipt, done=yes))
    finally:
        client.close()
    for copy in copies:
        if yes:
            copy.unlink(missing_ok=True)
        click.echo(f"{'removed' if yes else 'would be removed'}: {copy}", err=form == "json")
    if not yes:
        click.echo("Nothing is erased yet; repeat with --yes.", err=True)


def _told(receipt: Receipt, *, done: bool) -> str:
    lines = [f"connection {receipt.connection}: {'erased' if done else 'would be erased'}"]
    numbers = ["pending", "submitted", "dead", "recorded", "recent"]
    numbers += ["dedupe", "remembered"] if done else []
    lines += [f"  {name:<10} {getattr(receipt, name):>7,}" for name in numbers]
    if receipt.kept:
        lines.append(
            f"  kept       {receipt.kept:>7,}  withdrawals and requests for deletion, until delivered"
        )
    if receipt.submitted:
        lines.append("  Klaviyo may have what was submitted.")
    lines += [f"  {kind} sha256 {digest}" for kind, digest in receipt.hashes.items()]
    return "\n".join(lines)

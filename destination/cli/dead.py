"""``destination dead list|show|replay|discard``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from destination.cli.parts import redis_of
from destination.event import encode
from destination.runtime.letters import DeadLetters, shown
from destination.runtime.store import DeadLetter, Scripts, connect
from destination.settings import load_settings


@contextlib.contextmanager
def _letters(connection: str | None) -> Iterator[DeadLetters]:
    settings = load_settings()
    names = list(settings.connections)
    name = connection or names[0]
    if name not in names:
        raise click.UsageError(f"there is no connection {name!r}; there are: {', '.join(names)}")
    client = connect(redis_of(settings))
    try:
        yield DeadLetters(Scripts(client), name)
    finally:
        client.close()


def _chosen(
    letters: DeadLetters, ids: tuple[str, ...], code: str, mapping: str, everything: bool
) -> list[DeadLetter]:
    if ids:
        found = {each: letters.get(each) for each in ids}
        missing = [each for each, letter in found.items() if letter is None]
        if missing:
            raise click.UsageError(f"no dead letter has the id {missing[0]!r}")
        return [letter for letter in found.values() if letter]
    if not (code or mapping or everything):
        raise click.UsageError("say which: ids, --code, --mapping or --all")
    return list(letters.matching(code=code, mapping=mapping))


connection_option = click.option(
    "--connection", help="Name of the connection; the first by default."
)
code_option = click.option("--code", default="", help="Only those with this code.")
mapping_option = click.option("--mapping", default="", help="Only those of this mapping.")


@click.group()
def dead() -> None:
    """Look at dead letters, send them again or drop them."""


@dead.command("list")
@connection_option
@code_option
@mapping_option
@click.option("--limit", default=50, show_default=True)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def list_(connection: str | None, code: str, mapping: str, limit: int, form: str) -> None:
    """List dead letters, oldest first."""
    with _letters(connection) as letters:
        total, listed = len(letters), 0
        for letter in letters.matching(code=code, mapping=mapping):
            if listed == limit:
                break
            listed += 1
            if form == "json":
                click.echo(encode(shown(letter)))
            else:
                when = datetime.fromtimestamp(letter.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
                click.echo(f"{when}  {letter.id}\n    {letter.code}: {letter.message}")
        if form == "text":
            click.echo(f"{listed} of {total} dead letters")


@dead.command()
@click.argument("letter_id")
@connection_option
def show(letter_id: str, connection: str | None) -> None:
    """Show one dead letter whole: event, reason, cause, remedy."""
    with _letters(connection) as letters:
        letter = letters.get(letter_id)
        if letter is None:
            raise click.UsageError(f"no dead letter has the id {letter_id!r}")
        click.echo(encode(shown(letter, event=True)))


@dead.command()
@click.argument("ids", nargs=-1)
@connection_option
@code_option
@mapping_option
@click.option("--all", "everything", is_flag=True, help="All of them.")
def replay(
    ids: tuple[str, ...], connection: str | None, code: str, mapping: str, everything: bool
) -> None:
    """Send dead letters again, with the mapping as it is now."""
    with _letters(connection) as letters:
        moved = letters.replay(_chosen(letters, ids, code, mapping, everything))
    click.echo(f"{moved} dead letters are pending again")


@dead.command()
@click.argument("ids", nargs=-1)
@connection_option
@code_option
@mapping_option
@click.option("--all", "everything", is_flag=True, help="All of them.")
def discard(
    ids: tuple[str, ...], connection: str | None, code: str, mapping: str, everything: bool
) -> None:
    """Drop dead letters for good; they count as dropped."""
    with _letters(connection) as letters:
        moved = letters.discard(_chosen(letters, ids, code, mapping, everything))
    click.echo(f"{moved} dead letters are dropped")

"""The reference of actions, revisions and limits in ``docs/klaviyo.md``, from their records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from destination.action import Action
from destination.fields import Field
from destination.klaviyo.actions import ACTIONS
from destination.klaviyo.limits import BULK, windows
from destination.klaviyo.operations import OPERATIONS, asked_by, scopes_of
from destination.klaviyo.revision import SHAPES, Shape

_NAMED_LIST = {"list_id": "", "list_name": ""}
_SECONDS = {1: "s", 60: "min", 86_400: "day"}
_KEPT = 8


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def action_reference() -> str:
    """Markdown: what each action does, its default trigger, its fields and what the key needs."""
    return "\n".join(map(_action, ACTIONS))


def _action(action: Action) -> str:
    fields = {name: "" for name in _NAMED_LIST if any(each.name == name for each in action.fields)}
    needs = ", ".join(
        f"`{scope}`" for scope in scopes_of(asked_by(action.name, fields, batched=True))
    )
    most = f"At most {action.batch.rows:,} rows go" if action.batch else "One row goes"
    told = table(("field", "type", "meaning"), _fields(action.fields))
    return (
        f"### `{action.name}`\n\n{action.description}\n\n"
        f"Default trigger: `{action.trigger}`. {most} in a request. The key needs {needs}.\n\n{told}"
    )


def _fields(fields: Iterable[Field], inside: str = "") -> Iterator[tuple[str, str, str]]:
    for field in fields:
        name = f"{inside}{field.name}"
        kind = f"list of {field.type}s" if field.multiple else field.type
        meaning = f"**Required.** {field.description}" if field.required else field.description
        yield f"`{name}`", kind, meaning + _bounds(field)
        yield from _fields(field.properties, f"{name}.")


def _bounds(field: Field) -> str:
    said = []
    if field.choices:
        shown = ", ".join(f"`{each}`" for each in field.choices[:_KEPT])
        more = f" and {len(field.choices) - _KEPT} more" if len(field.choices) > _KEPT else ""
        said.append(f"One of {shown}{more}.")
    if field.maximum is not None:
        said.append(f"At most {field.maximum:g}{' characters' if field.type == 'string' else ''}.")
    return "".join(f" {each}" for each in said)


def limit_reference() -> str:
    """Markdown: the operations that deliveries ask for, with their limits and scopes."""
    return table(
        ("operation", "request", "limits of the account", "rows", "scopes"),
        (
            (
                f"`{name}`",
                f"{each.method} `{each.path}`",
                ", ".join(f"{one.calls:,}/{_SECONDS[one.seconds]}" for one in windows(name)),
                f"{BULK[name].rows:,}" if name in BULK else "",
                ", ".join(each.scopes),
            )
            for name, each in OPERATIONS.items()
        ),
    )


def revision_reference() -> str:
    """Markdown: what differs between API revisions in the requests that are sent."""
    return table(("from revision", "what is sent"), map(_revision, SHAPES))


def _revision(shape: Shape) -> tuple[str, str]:
    place = "inside its attributes" if shape.event_meta_inside else "beside its attributes"
    year = 1970 + round(shape.earliest_event / 31_556_952)
    backfill = "`backfill` where it is mapped" if shape.backfill else "no `backfill`"
    return (
        f"`{shape.since}`",
        f"property operations of an event's profile {place}; events from {year} on; {backfill}",
    )

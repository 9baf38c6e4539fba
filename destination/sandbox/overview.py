"""A page that shows what the sandbox holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

SHOWN = 50
STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;max-width:75rem}"
    "table{border-collapse:collapse;margin-bottom:2rem}td,th{border:1px solid #bbb;"
    "padding:.2rem .5rem;text-align:left;vertical-align:top;max-width:28rem;overflow-wrap:anywhere}"
)


def page(state: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> str:
    """The whole page as HTML; ``state`` and ``requests`` as the control API gives them."""
    counts = {name: value for name, value in state["counts"].items() if isinstance(value, int)}
    parts = [
        f"<h1>Sandbox: account {escape(state['account'])}</h1>",
        f"<p>An imitation of Klaviyo's API. Its clock says {escape(state['now'])}.</p>",
        _table("Counts", [counts]),
        _table("Profiles", state["profiles"]),
        _table("Lists", state["lists"]),
        _table("Events", state["events"]),
        _table("Jobs", state["jobs"]),
        _table("Mails", state["mails"]),
        _table("Requests", [{k: v for k, v in each.items() if k != "body"} for each in requests]),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sandbox</title>'
        f"<style>{STYLE}</style></head><body>{body}</body></html>"
    )


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    heading = f"<h2>{escape(title)} ({len(rows)})</h2>"
    if not rows:
        return heading + "<p>None.</p>"
    shown = rows[-SHOWN:]
    names = list(dict.fromkeys(name for row in shown for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "".join(
        "<tr>" + "".join(f"<td>{_cell(row.get(name))}</td>" for name in names) + "</tr>"
        for row in shown
    )
    return f"{heading}<table><tr>{head}</tr>{lines}</table>"


def _cell(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= 300 else text[:300] + "…")

"""Templates: make, change, render, copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from destination.sandbox.calls.call import EMPTY, Answer, Call, Handler
from destination.sandbox.calls.documents import resource, single
from destination.sandbox.calls.filters import conditions, matching
from destination.sandbox.calls.paging import collection
from destination.sandbox.clock import written
from destination.sandbox.errors import Problem, Refused, invalid, not_found
from destination.sandbox.world.templates import EDITORS, HTML_EDITORS, Template, render

MOST_TEMPLATES = 1000
PARTS = ("html", "text", "amp", "definition")


def get_templates(call: Call) -> Answer:
    """GET /templates: those that may be used again."""
    items = [each for each in call.account.templates.values() if each.reusable]
    found = matching(items, conditions(call), read)
    return collection(call, found, lambda each: template_document(call, each), read=read)


def get_template(call: Call) -> Answer:
    """GET /templates/{id}."""
    return single(call, 200, template_document(call, known(call, call.id)))


def create_template(call: Call) -> Answer:
    """POST /templates."""
    attributes = call.body["data"]["attributes"]
    _check_room(call)
    problems = list(_check_parts(attributes, attributes["editor_type"]))
    if problems:
        raise Refused(400, problems)
    template = new_template(call, attributes["name"], attributes["editor_type"], attributes)
    return single(call, 201, template_document(call, template))


def update_template(call: Call) -> Answer:
    """PATCH /templates/{id}: what is given replaces what was."""
    template = known(call, call.id)
    data = call.body["data"]
    attributes = data["attributes"]
    if data["id"] != template.id:
        raise invalid("The id in the body is not the id in the path.", "/data/id")
    wrong = "definition" if template.editor_type in HTML_EDITORS else "html"
    if attributes.get(wrong) is not None:
        detail = f"A template of type {template.editor_type} has no {wrong}."
        raise invalid(detail, f"/data/attributes/{wrong}")
    template.name = attributes.get("name") or template.name
    for part in PARTS:
        if attributes.get(part) is not None:
            setattr(template, part, attributes[part])
    template.updated = call.now
    return single(call, 200, template_document(call, template))


def delete_template(call: Call) -> Answer:
    """DELETE /templates/{id}."""
    del call.account.templates[known(call, call.id).id]
    return EMPTY


def render_template(call: Call) -> Answer:
    """POST /template-render."""
    data = call.body["data"]
    template = known(call, data["id"])
    context = data["attributes"]["context"]
    document = template_document(call, template, definition=False)
    shown = document["attributes"]
    try:
        for part in ("html", "text", "amp"):
            if shown.get(part):
                shown[part] = render(shown[part], context)
    except ValueError as error:
        raise invalid(f"The template cannot be rendered: {error}", "/data/id") from None
    return single(call, 201, document)


def clone_template(call: Call) -> Answer:
    """POST /template-clone."""
    data = call.body["data"]
    source = known(call, data["id"])
    _check_room(call)
    name = data["attributes"].get("name") or f"{source.name} (copy)"
    parts = {part: getattr(source, part) for part in PARTS}
    template = new_template(call, name, source.editor_type, parts)
    return single(call, 201, template_document(call, template, definition=False))


def new_template(
    call: Call, name: str, editor: str, parts: Mapping[str, Any], *, reusable: bool = True
) -> Template:
    """A new template in the account."""
    held: dict[str, Any] = {part: parts.get(part) for part in PARTS}
    held["html"] = held["html"] or "<html><body></body></html>"
    template = Template(
        call.account.ids.short("template"),
        len(call.account.templates) + 1,
        name,
        editor,
        call.now,
        call.now,
        reusable=reusable,
        **held,
    )
    call.account.templates[template.id] = template
    return template


def known(call: Call, identifier: str) -> Template:
    """The template with that id; raises ``Refused`` (404)."""
    template = call.account.templates.get(identifier)
    if template is None:
        raise not_found("template", identifier)
    return template


def template_document(call: Call, template: Template, *, definition: bool = True) -> dict[str, Any]:
    """A template as the API shows it."""
    attributes = {
        "name": template.name,
        "editor_type": template.editor_type,
        "html": template.html,
        "text": template.text,
        "amp": template.amp,
        "created": written(template.created),
        "updated": written(template.updated),
    }
    if definition and "definition" in call.asked("additional-fields[template]"):
        attributes["definition"] = template.definition
    return resource(call, "template", template.id, attributes)


def read(template: Template, field: str) -> Any:
    """What a filter or sort on ``field`` sees."""
    return getattr(template, field, None)


def _check_room(call: Call) -> None:
    if sum(each.reusable for each in call.account.templates.values()) >= MOST_TEMPLATES:
        raise invalid(f"An account has at most {MOST_TEMPLATES} templates.", "/data")


def _check_parts(attributes: Mapping[str, Any], editor: str) -> list[Problem]:
    place = "/data/attributes"
    if editor not in EDITORS:
        return [Problem(f"editor_type is one of {', '.join(EDITORS)}.", f"{place}/editor_type")]
    needed, refused = ("html", "definition") if editor in HTML_EDITORS else ("definition", "html")
    problems = []
    if attributes.get(needed) is None:
        problems.append(Problem(f"{needed} is required for {editor}.", f"{place}/{needed}"))
    if attributes.get(refused) is not None:
        problems.append(Problem(f"{refused} is not allowed for {editor}.", f"{place}/{refused}"))
    return problems


HANDLERS: Mapping[str, Handler] = {
    "get_templates": get_templates,
    "create_template": create_template,
    "get_template": get_template,
    "update_template": update_template,
    "delete_template": delete_template,
    "render_template": render_template,
    "clone_template": clone_template,
}

"""Tags and tag groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from destination.sandbox.calls.call import EMPTY, Answer, Call, Handler
from destination.sandbox.calls.documents import reference, related, resource, single
from destination.sandbox.calls.filters import conditions, matching
from destination.sandbox.calls.paging import collection
from destination.sandbox.errors import invalid, not_found
from destination.sandbox.world.tags import Tag, TagGroup

MOST_TAGS, MOST_GROUPS, MOST_PER_BEARER = 500, 50, 100
KINDS = ("list", "segment", "campaign")


def get_tags(call: Call) -> Answer:
    """GET /tags."""
    items = matching(list(call.account.tags.values()), conditions(call), read)
    return collection(
        call,
        items,
        lambda each: tag_document(call, each),
        read=read,
        include=lambda page: _groups(call, page),
    )


def get_tag(call: Call) -> Answer:
    """GET /tags/{id}."""
    tag = _tag(call)
    included = _groups(call, [tag]) if call.asked("include") else None
    return single(call, 200, tag_document(call, tag), included)


def create_tag(call: Call) -> Answer:
    """POST /tags: in the default group unless another is named."""
    account, data = call.account, call.body["data"]
    if len(account.tags) >= MOST_TAGS:
        raise invalid(f"An account has at most {MOST_TAGS} tags.", "/data")
    wanted = data.get("relationships", {}).get("tag-group", {}).get("data")
    group = next(iter(account.tag_groups)) if wanted is None else wanted["id"]
    if group not in account.tag_groups:
        raise not_found("tag-group", group)
    name = _name(call)
    tag = Tag(account.ids.uuid("tag"), len(account.tags) + 1, name, group)
    account.tags[tag.id] = tag
    return single(call, 201, tag_document(call, tag))


def update_tag(call: Call) -> Answer:
    """PATCH /tags/{id}: an empty answer."""
    _tag(call).name = _name(call)
    return EMPTY


def delete_tag(call: Call) -> Answer:
    """DELETE /tags/{id}."""
    del call.account.tags[_tag(call).id]
    return EMPTY


def get_tag_groups(call: Call) -> Answer:
    """GET /tag-groups."""
    items = matching(list(call.account.tag_groups.values()), conditions(call), read)
    return collection(call, items, lambda each: group_document(call, each), read=read)


def get_tag_group(call: Call) -> Answer:
    """GET /tag-groups/{id}."""
    return single(call, 200, group_document(call, _group(call)))


def create_tag_group(call: Call) -> Answer:
    """POST /tag-groups."""
    account = call.account
    if len(account.tag_groups) >= MOST_GROUPS:
        raise invalid(f"An account has at most {MOST_GROUPS} tag groups.", "/data")
    exclusive = bool(call.body["data"]["attributes"].get("exclusive"))
    number = len(account.tag_groups) + 1
    group = TagGroup(account.ids.uuid("tag-group"), number, _name(call), exclusive)
    account.tag_groups[group.id] = group
    return single(call, 201, group_document(call, group))


def update_tag_group(call: Call) -> Answer:
    """PATCH /tag-groups/{id}: an empty answer."""
    _group(call).name = _name(call)
    return EMPTY


def delete_tag_group(call: Call) -> Answer:
    """DELETE /tag-groups/{id}, with its tags; the default one stays."""
    group, account = _group(call), call.account
    if group.default:
        raise invalid("The default tag group cannot be deleted.", "/data")
    account.tags = {key: tag for key, tag in account.tags.items() if tag.group != group.id}
    del account.tag_groups[group.id]
    return EMPTY


def get_group_of_tag(call: Call) -> Answer:
    """GET /tags/{id}/tag-group."""
    return single(call, 200, group_document(call, call.account.tag_groups[_tag(call).group]))


def get_group_id_of_tag(call: Call) -> Answer:
    """GET /tags/{id}/relationships/tag-group."""
    return Answer(200, {"data": reference("tag-group", _tag(call).group)})


def get_tags_of_group(*, ids_only: bool) -> Handler:
    """GET /tag-groups/{id}/tags and its relationships."""

    def handler(call: Call) -> Answer:
        group = _group(call)
        return _tags(call, (t for t in call.account.tags.values() if t.group == group.id), ids_only)

    return handler


def get_tags_of(kind: str, *, ids_only: bool) -> Handler:
    """GET /lists/{id}/tags and the like."""

    def handler(call: Call) -> Answer:
        _check_bearer(call, kind, call.id)
        return _tags(call, borne(call, kind, call.id), ids_only)

    return handler


def get_bearers(kind: str) -> Handler:
    """GET /tags/{id}/relationships/lists and the like."""

    def handler(call: Call) -> Answer:
        found = [reference(kind, each) for each in _tag(call).bearers.get(kind, [])]
        link = f"{call.link_base}/api/tags/{call.id}/relationships/{kind}s"
        return Answer(200, {"data": found, "links": {"self": link, "next": None, "prev": None}})

    return handler


def add_bearers(kind: str) -> Handler:
    """POST /tags/{id}/relationships/lists and the like."""

    def handler(call: Call) -> Answer:
        tag = _tag(call)
        identifiers = [each["id"] for each in call.body["data"]]
        exclusive = call.account.tag_groups[tag.group].exclusive
        for identifier in identifiers:
            _check_bearer(call, kind, identifier)
            others = [each for each in borne(call, kind, identifier) if each is not tag]
            if len(others) >= MOST_PER_BEARER:
                raise invalid(f"A {kind} bears at most {MOST_PER_BEARER} tags.", "/data")
            if exclusive and any(each.group == tag.group for each in others):
                raise invalid(f"The {kind} bears another tag of this exclusive group.", "/data")
        held = tag.bearers.setdefault(kind, [])
        held += [each for each in dict.fromkeys(identifiers) if each not in held]
        return EMPTY

    return handler


def remove_bearers(kind: str) -> Handler:
    """DELETE /tags/{id}/relationships/lists and the like."""

    def handler(call: Call) -> Answer:
        tag = _tag(call)
        gone = {each["id"] for each in call.body["data"]}
        tag.bearers[kind] = [each for each in tag.bearers.get(kind, []) if each not in gone]
        return EMPTY

    return handler


def borne(call: Call, kind: str, identifier: str) -> list[Tag]:
    """The tags that a resource bears."""
    tags = call.account.tags.values()
    return [tag for tag in tags if identifier in tag.bearers.get(kind, [])]


def tag_document(call: Call, tag: Tag) -> dict[str, Any]:
    """A tag as the API shows it."""
    relations = dict.fromkeys(f"{kind}s" for kind in (*KINDS, "flow"))
    document = resource(call, "tag", tag.id, {"name": tag.name}, relations)
    group = related(document["links"]["self"], "tag-group", reference("tag-group", tag.group))
    document["relationships"]["tag-group"] = group
    return document


def group_document(call: Call, group: TagGroup) -> dict[str, Any]:
    """A tag group as the API shows it."""
    attributes = {"name": group.name, "exclusive": group.exclusive, "default": group.default}
    return resource(call, "tag-group", group.id, attributes, {"tags": None})


def read(item: Tag | TagGroup, field: str) -> Any:
    """What a filter or sort on ``field`` sees."""
    return getattr(item, field, None)


def _tag(call: Call) -> Tag:
    if call.id not in call.account.tags:
        raise not_found("tag", call.id)
    return call.account.tags[call.id]


def _group(call: Call) -> TagGroup:
    if call.id not in call.account.tag_groups:
        raise not_found("tag-group", call.id)
    return call.account.tag_groups[call.id]


def _name(call: Call) -> str:
    name: str = call.body["data"]["attributes"]["name"]
    if not name.strip():
        raise invalid("This field may not be blank.", "/data/attributes/name")
    return name


def _check_bearer(call: Call, kind: str, identifier: str) -> None:
    account = call.account
    found: Mapping[str, Callable[[str], Any]] = {
        "list": account.lists.get,
        "segment": account.segments.get,
        "campaign": account.campaigns.get,
    }
    if found[kind](identifier) is None:
        raise not_found(kind, identifier)


def _groups(call: Call, tags: Iterable[Tag]) -> list[Any]:
    wanted = dict.fromkeys(tag.group for tag in tags)
    return [group_document(call, call.account.tag_groups[each]) for each in wanted]


def _tags(call: Call, tags: Iterable[Tag], ids_only: bool) -> Answer:
    render: Callable[[Tag], Any] = (
        (lambda each: reference("tag", each.id))
        if ids_only
        else (lambda each: tag_document(call, each))
    )
    return collection(call, list(tags), render, read=read)


HANDLERS: Mapping[str, Handler] = {
    "get_tags": get_tags,
    "get_tag": get_tag,
    "create_tag": create_tag,
    "update_tag": update_tag,
    "delete_tag": delete_tag,
    "get_tag_groups": get_tag_groups,
    "get_tag_group": get_tag_group,
    "create_tag_group": create_tag_group,
    "update_tag_group": update_tag_group,
    "delete_tag_group": delete_tag_group,
    "get_tag_group_for_tag": get_group_of_tag,
    "get_tag_group_id_for_tag": get_group_id_of_tag,
    "get_tags_for_tag_group": get_tags_of_group(ids_only=False),
    "get_tag_ids_for_tag_group": get_tags_of_group(ids_only=True),
    **{f"get_tags_for_{kind}": get_tags_of(kind, ids_only=False) for kind in KINDS},
    **{f"get_tag_ids_for_{kind}": get_tags_of(kind, ids_only=True) for kind in KINDS},
    **{f"get_{kind}_ids_for_tag": get_bearers(kind) for kind in KINDS},
    **{f"tag_{kind}s": add_bearers(kind) for kind in KINDS},
    **{f"remove_tag_from_{kind}s": remove_bearers(kind) for kind in KINDS},
}

"""Lists: names, members, paging, the daily cap."""

from __future__ import annotations

from urllib.parse import quote

from tests.unit.sandbox.api import Api, data, errors, members


def test_a_list_takes_and_loses_members_without_consent(api: Api) -> None:
    """Adding twice and removing a stranger change nothing; consent stays as it was."""
    ann, bob, news = api.profile(email="a@acme.io"), api.profile(email="b@acme.io"), api.list()
    path = f"/api/lists/{news}/relationships/profiles"
    api.post(path, members(ann, bob), status=204)
    first = api.get(f"/api/lists/{news}/profiles")["data"][0]["attributes"]["joined_group_at"]
    api.clock.advance(60)
    api.post(path, members(ann), status=204)
    found = api.get(f"/api/lists/{news}/profiles?additional-fields[profile]=subscriptions")
    assert [each["id"] for each in found["data"]] == [ann, bob]
    attributes = found["data"][0]["attributes"]
    assert attributes["joined_group_at"] == first
    assert attributes["subscriptions"]["email"]["marketing"]["consent"] == "NEVER_SUBSCRIBED"
    api.delete(path, members(ann))
    api.delete(path, members(ann))
    assert [each["id"] for each in api.get(path)["data"]] == [bob]
    assert api.get(f"/api/profiles/{bob}/relationships/lists")["data"] == [
        {"type": "list", "id": news}
    ]


def test_one_unknown_member_refuses_the_whole_call(api: Api) -> None:
    """Nothing is applied."""
    ann, news = api.profile(email="a@acme.io"), api.list()
    path = f"/api/lists/{news}/relationships/profiles"
    found = errors(api.post(path, members(ann, "XYZABD"), status=400))
    assert found == [("Invalid profile IDs: XYZABD", "/data/")]
    assert api.state()["lists"][0]["members"] == []


def test_at_most_1000_members_a_call(api: Api) -> None:
    """1001 are refused, 1000 are not."""
    news = api.list()
    path = f"/api/lists/{news}/relationships/profiles"
    ids = [api.profile(email=f"p{number}@acme.io") for number in range(70)]
    many = (ids * 15)[:1001]
    api.post(path, members(*many), status=400)
    api.post(path, members(*many[:1000]), status=204)


def test_lists_come_ten_to_a_page(api: Api) -> None:
    """A larger page is refused; names are found by equals and any."""
    ids = [api.list(f"list {number:02}") for number in range(9)]
    api.clock.advance(1)
    ids += [api.list(f"list {number:02}") for number in range(9, 12)]
    assert len(api.get("/api/lists")["data"]) == 10
    ((_, parameter),) = errors(api.get("/api/lists?page[size]=11", status=400))
    assert parameter == "page[size]"
    for text in (
        'equals(name,["list 03"])',
        "any(name,['list 03','nope'])",
        f'equals(id,"{ids[3]}")',
    ):
        found = api.get(f"/api/lists?filter={quote(text)}")["data"]
        assert [each["id"] for each in found] == [ids[3]], text
    down = api.get("/api/lists?sort=-name&page[size]=2")["data"]
    assert [each["attributes"]["name"] for each in down] == ["list 11", "list 10"]


def test_150_lists_a_day(api: Api) -> None:
    """The 151st must wait for the next day, others must not."""
    for _ in range(15):
        for number in range(10):
            api.list(f"list {number}")
        api.clock.advance(61)
    reply = api.send("POST", "/api/lists", data("list", {"name": "one more"}))
    assert reply.status == 429
    assert int(reply.headers["retry-after"]) > 3600
    api.get("/api/lists")
    api.clock.advance(86_400)
    api.list("one more")


def test_a_list_is_renamed_and_deleted(api: Api) -> None:
    """Its members stay profiles; a deleted list is 404."""
    ann, news = api.profile(email="a@acme.io"), api.list(opt_in_process="single_opt_in")
    api.post(f"/api/lists/{news}/relationships/profiles", members(ann), status=204)
    changed = api.patch(f"/api/lists/{news}", data("list", {"name": "Old news"}, id=news))
    assert changed["data"]["attributes"]["name"] == "Old news"
    assert changed["data"]["attributes"]["opt_in_process"] == "single_opt_in"
    counted = api.get(f"/api/lists/{news}?additional-fields[list]=profile_count")
    assert counted["data"]["attributes"]["profile_count"] == 1
    api.delete(f"/api/lists/{news}")
    api.get(f"/api/lists/{news}", status=404)
    api.post(f"/api/lists/{news}/relationships/profiles", members(ann), status=404)
    assert api.get(f"/api/profiles/{ann}/lists")["data"] == []

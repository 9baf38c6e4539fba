"""Profiles: identity, conflicts, clearing, patching, merging."""

from __future__ import annotations

import json

from tests.unit.sandbox.api import Api, data, errors, profile


def test_creating_twice_conflicts_and_names_the_holder(api: Api) -> None:
    """A 409 carries the id of the profile that has the identifier; emails differ not by case."""
    held = api.profile(email="ann@acme.io")
    document = api.post("/api/profiles", profile(email="ANN@acme.io"), status=409)
    (error,) = document["errors"]
    assert error["code"] == "duplicate_profile"
    assert error["source"] == {"pointer": "/data/attributes"}
    assert error["meta"] == {"duplicate_profile_id": held}


def test_an_upsert_creates_then_updates(api: Api) -> None:
    """201 for a new profile, 200 for the same one again; fields that are absent stay."""
    first = api.post("/api/profile-import", profile(email="a@acme.io", title="Dr"), status=201)
    body = profile(email="a@acme.io", first_name="Ann")
    second = api.post("/api/profile-import/", body, status=200)
    assert second["data"]["id"] == first["data"]["id"]
    assert second["data"]["attributes"]["title"] == "Dr"
    assert second["data"]["attributes"]["first_name"] == "Ann"


def test_a_token_finds_its_profile_until_it_runs_out(api: Api) -> None:
    """In upserts, not where profiles are only made."""
    first = api.post("/api/profile-import", profile(_kx="t", email="a@acme.io"), status=201)
    again = api.post("/api/profile-import", profile(_kx="t", title="Dr"), status=200)
    assert again["data"]["id"] == first["data"]["id"]
    old = api.post("/api/profile-import", profile(_kx="expired-1"), status=400)
    assert errors(old) == [("The exchange id has expired.", "/data/attributes/_kx")]
    ((detail, _),) = errors(api.post("/api/profiles", profile(_kx="t"), status=400))
    assert "'_kx' is not a valid field" in detail


def test_an_upsert_whose_identifiers_disagree_conflicts(api: Api) -> None:
    """The 409 names the profile that the email does not mean, and nothing is changed."""
    api.profile(email="a@acme.io")
    other = api.profile(phone_number="+12345678901")
    body = profile(email="a@acme.io", phone_number="+12345678901", first_name="X")
    document = api.post("/api/profile-import", body, status=409)
    assert document["errors"][0]["meta"]["duplicate_profile_id"] == other
    assert all("first_name" not in each for each in api.state()["profiles"])


def test_an_update_with_anothers_identifier_conflicts(api: Api) -> None:
    """PATCH answers 409 with the other's id."""
    ann = api.profile(email="a@acme.io")
    bob = api.profile(email="b@acme.io")
    document = api.patch(f"/api/profiles/{ann}", profile(ann, email="b@acme.io"), status=409)
    assert document["errors"][0]["meta"]["duplicate_profile_id"] == bob


def test_null_clears_a_field(api: Api) -> None:
    """In PATCH and upsert null clears, in attributes, location and properties alike."""
    ann = api.profile(
        email="a@acme.io", title="Dr", location={"city": "Bonn", "zip": "1"}, properties={"x": 1}
    )
    body = profile(ann, title=None, location={"city": None}, properties={"x": None, "y": 2})
    attributes = api.patch(f"/api/profiles/{ann}", body)["data"]["attributes"]
    assert attributes["title"] is None
    assert attributes["location"]["city"] is None
    assert attributes["location"]["zip"] == "1"
    assert attributes["properties"] == {"y": 2}


def test_a_cleared_identifier_is_free_again(api: Api) -> None:
    """Another profile may take it."""
    ann = api.profile(email="a@acme.io", external_id="1")
    api.patch(f"/api/profiles/{ann}", profile(ann, email=None))
    assert api.profile(email="a@acme.io") != ann


def test_patch_properties(api: Api) -> None:
    """Append, unappend and unset work on what is held after the attributes are written."""
    ann = api.profile(email="a@acme.io", properties={"tags": ["a", "b"], "old": 1, "word": "x"})
    change = {
        "append": {"tags": ["c", "a"], "word": "y"},
        "unappend": {"tags": "b"},
        "unset": "old",
    }
    body = profile(ann, {"patch_properties": change})
    body["data"]["attributes"] = {}
    held = api.patch(f"/api/profiles/{ann}", body)["data"]["attributes"]["properties"]
    assert held == {"tags": ["a", "c"], "word": ["x", "y"]}


def test_a_further_email_finds_the_profile(api: Api) -> None:
    """patch_identifiers gives a profile a second email, unless it is another's."""
    ann = api.profile(email="a@acme.io")
    bob = api.profile(email="b@acme.io")
    meta = {"patch_identifiers": {"append": {"email": ["second@acme.io"]}}}
    api.patch(f"/api/profiles/{ann}", profile(ann, meta))
    found = api.post("/api/profile-import", profile(email="second@acme.io"), status=200)
    assert found["data"]["id"] == ann
    assert found["data"]["attributes"]["email"] == "a@acme.io"
    document = api.patch(f"/api/profiles/{bob}", profile(bob, meta), status=409)
    assert document["errors"][0]["meta"]["duplicate_profile_id"] == ann


def test_every_fault_of_a_body_is_told_with_its_place(api: Api) -> None:
    """Unknown keys, wrong types and missing keys come back together."""
    body = {"data": {"attributes": {"emale": "x", "title": 5, "location": {"zap": 1}}}}
    found = errors(api.post("/api/profiles", body, status=400))
    assert (
        "'emale' is not a valid field for the resource 'profile'.",
        "/data/attributes/emale",
    ) in found
    assert ("'type' is a required field for the resource 'profile'.", "/data/type") in found
    assert {place for _, place in found} == {
        "/data/attributes/emale",
        "/data/attributes/title",
        "/data/attributes/location/zap",
        "/data/type",
    }


def test_what_left_the_api_is_refused(api: Api) -> None:
    """anonymous_id is no attribute of profiles any more."""
    body = profile(email="a@acme.io", anonymous_id="x")
    assert errors(api.post("/api/profile-import", body, status=400)) == [
        (
            "'anonymous_id' is not a valid field for the resource 'profile'.",
            "/data/attributes/anonymous_id",
        )
    ]


def test_a_bad_number_beside_an_email_is_dropped_with_a_header(api: Api) -> None:
    """Creation succeeds and says so; alone, the number is refused."""
    reply = api.send("POST", "/api/profiles", profile(email="a@acme.io", phone_number="555"))
    assert reply.status == 201
    assert reply.headers["X-Klaviyo-Partial-Failure"] == "phone_number"
    assert json.loads(reply.body)["data"]["attributes"]["phone_number"] is None
    found = errors(api.post("/api/profiles", profile(phone_number="555"), status=400))
    assert found == [
        (
            "Invalid phone number format (Example of a valid format: +12345678901)",
            "/data/attributes/phone_number",
        )
    ]


def test_emails_are_checked(api: Api) -> None:
    """Syntax, and 100 characters."""
    for email in ("", "ann", "ann@acme", "a b@acme.io", "ann@acme.io\n", f"{'a' * 92}@acme.io1"):
        found = errors(api.post("/api/profiles", profile(email=email), status=400))
        assert found == [("Invalid email address", "/data/attributes/email")], email
    api.profile(email=f"{'a' * 92}@acme.io"[:100])


def test_a_profile_needs_an_identifier(api: Api) -> None:
    """Names alone are not enough."""
    ((_, place),) = errors(api.post("/api/profiles", profile(first_name="A"), status=400))
    assert place == "/data/attributes"


def test_a_profile_may_have_100_kilobytes(api: Api) -> None:
    """One byte more is refused."""
    body = profile(email="a@acme.io", properties={"x": ""})
    room = 100_000 - len(json.dumps(body, separators=(",", ":")))
    body["data"]["attributes"]["properties"]["x"] = "x" * room
    text = json.dumps(body, separators=(",", ":")).encode()
    assert api.send("POST", "/api/profile-import", raw=text).status == 201
    longer = text.replace(b'"x":"x', b'"x":"xx')
    reply = api.send("POST", "/api/profile-import", raw=longer)
    assert reply.status == 400


def test_merging_moves_everything_and_deletes_the_source(api: Api) -> None:
    """Answered at once, done later: memberships and events follow, the source is 404."""
    ann, bob = api.profile(email="a@acme.io"), api.profile(email="b@acme.io", title="Dr")
    news = api.list()
    body = {"data": [{"type": "profile", "id": bob}]}
    api.post(f"/api/lists/{news}/relationships/profiles", body, status=204)
    sources = {"profiles": {"data": [{"type": "profile", "id": bob}]}}
    merge = data("profile-merge", id=ann, relationships=sources)
    assert api.post("/api/profile-merge", merge, status=201)["data"]["id"] == ann
    api.get(f"/api/profiles/{bob}")
    api.clock.advance(1)
    api.get(f"/api/profiles/{bob}", status=404)
    (held,) = api.state()["profiles"]
    assert held["title"] == "Dr"
    assert held["other_emails"] == ["b@acme.io"]
    assert api.state()["lists"][0]["members"] == [ann]


def test_profiles_are_read_by_filter_in_pages(api: Api) -> None:
    """any() looks up by identifier; pages follow by cursor until next is null."""
    ids = [api.profile(email=f"p{number}@acme.io") for number in range(25)]
    first = api.get("/api/profiles")
    assert [each["id"] for each in first["data"]] == ids[:20]
    cursor = first["links"]["next"].partition("page%5Bcursor%5D=")[2]
    second = api.get(f"/api/profiles?page[cursor]=={cursor}")
    assert [each["id"] for each in second["data"]] == ids[20:]
    assert second["links"]["next"] is None
    found = api.get('/api/profiles?filter=any(email,["p3@acme.io","P4@ACME.IO","no@acme.io"])')
    assert [each["id"] for each in found["data"]] == ids[3:5]
    down = api.get("/api/profiles?sort=-email&page[size]=2")
    assert [each["attributes"]["email"] for each in down["data"]] == ["p9@acme.io", "p8@acme.io"]


def test_sparse_fields_and_subscriptions(api: Api) -> None:
    """fields[profile] chooses, additional-fields[profile] adds."""
    ann = api.profile(email="a@acme.io", location={"city": "Bonn", "zip": "1"})
    wanted = "fields[profile]=email,location.city,subscriptions.sms.transactional"
    document = api.get(f"/api/profiles/{ann}?{wanted}&additional-fields[profile]=subscriptions")
    assert document["data"]["attributes"] == {
        "email": "a@acme.io",
        "location": {"city": "Bonn"},
        "subscriptions": {
            "sms": {
                "transactional": {
                    "can_receive_sms_transactional": False,
                    "consent": "NEVER_SUBSCRIBED",
                    "consent_timestamp": None,
                    "last_updated": None,
                    "method": None,
                    "method_detail": None,
                }
            }
        },
    }

"""Mirrors: who joins, who leaves, who is left alone, and when it is stopped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.delivery import Discard
from destination.errors import Ended
from destination.klaviyo.audience import NoList, members, named_list, refusals
from destination.klaviyo.mirror import (
    Held,
    Member,
    Memory,
    Person,
    Plan,
    Reason,
    Wanted,
    check_removals,
    compare,
    key_of,
    marks,
    member_of,
    most_removals,
    plan,
    refusal_in,
    remembered,
)
from destination.klaviyo.people import who
from destination.sending import Account
from tests.unit.klaviyo.klaviyo_script import NOW, REVISION, Script, answer, refusal, remembering


def wanted(*rows: dict[str, Any]) -> Wanted:
    """An audience of these rows."""
    found = Wanted()
    for row in rows:
        found.add(row)
    return found


def member(id_: str, **identifiers: str) -> Member:
    """A member with these identifiers."""
    return member_of({"id": id_, "attributes": identifiers})


def nothing(_person: Person) -> Reason | None:
    """Klaviyo knows nothing against anybody."""
    return None


def emails(people: tuple[Any, ...]) -> list[str]:
    """Whose rows or memberships these are."""
    return [dict(each.names)["email"] for each in people]


ANN, BEN, CAT = ({"email": f"{name}@acme.io"} for name in ("ann", "ben", "cat"))


def test_the_difference_is_all_that_is_done() -> None:
    """Ninety of a hundred stay, five are new, ten leave."""
    there = [member(str(each), email=f"p{each}@acme.io") for each in range(100)]
    people = wanted(*({"email": f"p{each}@acme.io"} for each in range(10, 105)))
    found = plan(compare(people.people, there), Memory(), nothing)
    assert emails(found.add) == [f"p{each}@acme.io" for each in range(100, 105)]
    assert emails(found.remove) == [f"p{each}@acme.io" for each in range(10)]
    assert len(found.present) == 90
    assert found.kept_out == ()


def test_one_shared_identifier_makes_a_member() -> None:
    """Of two members who are meant, neither leaves; letters of addresses may be large or small."""
    people = wanted({"email": "Ann@ACME.io ", "phone_number": "+14155552671"}, {"external_id": 7})
    there = [
        member("A", email="ANN@acme.io"),
        member("B", phone_number="+14155552671", email="old@acme.io"),
        member("C", external_id="7"),
        member("D", external_id="8"),
    ]
    found = compare(people.people, there)
    assert [each.id for each in found.surplus] == ["D"]
    assert found.absent == ()
    assert people.people[0].row == {"email": "ann@acme.io", "phone_number": "+14155552671"}


def test_rows_are_people_once_and_keep_their_columns() -> None:
    """National numbers are read by the row's country or the given one."""
    found = Wanted()
    found.add({**ANN, "first_name": "Ann", "phone_number": "(415) 555-2671", "country_code": "US"})
    found.add({"email": "ANN@acme.io", "first_name": "Again"})
    found.add({"phone_number": "030 901820"}, "DE")
    found.add({**BEN, "phone_number": "nonsense"})
    assert found.doubles == 1
    assert [each.row.get("phone_number") for each in found.people] == [
        "+14155552671",
        "+4930901820",
        None,
    ]
    assert found.people[0].row["first_name"] == "Ann"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"first_name": "Ann"}, "missing_identifier"),
        ({"email": "ann@acme"}, "invalid_email"),
        ({"phone_number": "030 901820"}, "invalid_phone_number"),
        ({"external_id": "x" * 300}, "invalid_external_id"),
    ],
)
def test_a_row_that_names_nobody_is_refused(row: dict[str, Any], code: str) -> None:
    """With the reason that a delivery would have."""
    with pytest.raises(Ended) as ended:
        wanted(row)
    assert isinstance(ended.value.outcome, Discard)
    assert ended.value.outcome.code == code


@pytest.mark.parametrize("reason", ["suppressed", "unsubscribed"])
def test_who_wants_out_is_kept_out(reason: Reason) -> None:
    """Unless it is forced; who is a member already stays one."""
    difference = compare(wanted(ANN, BEN).people, [member("B", **BEN)])
    found = plan(difference, Memory(), lambda _person: reason)
    assert (found.add, found.remove, len(found.present)) == ((), (), 1)
    assert [(dict(person.names)["email"], why) for person, why in found.kept_out] == [
        ("ann@acme.io", reason)
    ]
    assert emails(plan(difference, Memory(), lambda _person: reason, force=True).add) == [
        "ann@acme.io"
    ]


def mirrored(
    there: list[Member], memory: Memory, *rows: dict[str, Any], force: bool = False
) -> Plan:
    """A plan with nothing known against anybody."""
    return plan(compare(wanted(*rows).people, there, memory), memory, nothing, force=force)


def test_who_was_taken_off_by_hand_is_kept_out_for_as_long_as_wanted() -> None:
    """Forcing it, or not wanting them for once, begins anew."""
    ann, ben = member("A", **ANN), member("B", **BEN)
    memory = remembered(mirrored([], Memory(), ANN, BEN), [ann, ben])
    for _ in range(3):
        found = mirrored([ann], memory, ANN, BEN)
        assert [reason for _person, reason in found.kept_out] == ["removed_by_hand"]
        memory = remembered(found, [ann])
    forced = mirrored([ann], memory, ANN, BEN, force=True)
    assert emails(forced.add) == ["ben@acme.io"]
    memory = remembered(mirrored([ann], memory, ANN), [ann])
    assert emails(mirrored([ann], memory, ANN, BEN).add) == ["ben@acme.io"]


def test_who_was_never_seen_on_the_list_was_not_taken_off_by_hand() -> None:
    """An addition that is not delivered yet is asked for again."""
    memory = remembered(mirrored([], Memory(), ANN), [])
    assert emails(mirrored([], memory, ANN).add) == ["ann@acme.io"]


def test_a_removal_under_way_does_not_have_the_last_word() -> None:
    """Whoever is wanted again before it is delivered is added behind it."""
    ann = member("A", **ANN)
    leaving = remembered(mirrored([ann], Memory()), [ann])
    assert leaving == Memory(frozenset(), marks(ann.names))
    found = mirrored([ann], leaving, ANN)
    assert (emails(found.add), found.present) == (["ann@acme.io"], ())
    assert emails(mirrored([], leaving, ANN).add) == ["ann@acme.io"]


def test_memory_holds_nobodys_address() -> None:
    """Marks only."""
    memory = remembered(mirrored([], Memory(), ANN), [member("A", **ANN)])
    assert memory.seen
    assert "ann" not in repr(memory)


def test_a_member_without_identifiers_is_told_and_left() -> None:
    """No event could name them."""
    found = mirrored([member("A"), member("B", phone_number="+14155552671")], Memory())
    assert [each.id for each in found.stuck] == ["A"]
    assert [key_of(each.identifiers) for each in found.remove] == ["phone_number"]


PEOPLE = st.frozensets(st.integers(0, 5))
STEPS = st.lists(st.tuples(st.sampled_from(["mirror", "off", "on"]), PEOPLE), max_size=12)


@given(STEPS)
def test_whatever_happens_between_mirrors_the_list_is_as_wanted_but_for_those_taken_off(
    steps: list[tuple[str, frozenset[int]]],
) -> None:
    """Hands take people off and put people on; every mirror is delivered before the next. What
    happens to somebody and is undone between two mirrors is not seen.
    """
    on_list: set[int] = set()
    settled: set[int] = set()
    off: set[int] = set()
    memory = Memory()

    def there() -> list[Member]:
        return [member(str(each), email=f"p{each}@acme.io") for each in sorted(on_list)]

    for what, people in steps:
        if what == "off":
            off |= people & on_list & settled
            on_list -= people
        elif what == "on":
            off -= people
            on_list |= people
        else:
            rows = [{"email": f"p{each}@acme.io"} for each in sorted(people)]
            found = mirrored(there(), memory, *rows)
            on_list -= {int(each.id) for each in found.remove}
            on_list |= {int(each.row["email"][1]) for each in found.add}
            memory = remembered(found, there())
            off &= people
            assert on_list == people - off
            settled = on_list | off


@pytest.mark.parametrize(
    ("text", "count", "most"),
    [
        ("", 100, 50),
        ("", 1000, 100),
        ("", 0, 50),
        ("7", 100, 7),
        ("25%", 1000, 250),
        ("0", 9, 0),
        ("100%", 9, 9),
    ],
)
def test_a_tenth_or_fifty_may_leave_or_as_many_as_said(text: str, count: int, most: int) -> None:
    """Whichever is more."""
    assert most_removals(text, count) == most


@pytest.mark.parametrize("text", ["x", "-1", "101%", "1.5", "%", "²"])
def test_another_limit_is_none(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="neither"):
        most_removals(text, 10)


def leaving(count: int, of: int, left: int) -> Plan:
    """A plan by which so many of so many leave."""
    gone = tuple(member(str(each), email=f"p{each}@acme.io") for each in range(count))
    return Plan((), gone, (), members=of, wanted=left)


def test_too_many_removals_are_held() -> None:
    """With what to say when it is meant. An empty audience empties no list by mistake."""
    check_removals(leaving(60, 600, 540))
    check_removals(leaving(50, 60, 10))
    with pytest.raises(Held, match=r"61 of 600 members would leave.*--max-removals 61"):
        check_removals(leaving(61, 600, 539))
    check_removals(leaving(61, 600, 539), "61")
    with pytest.raises(Held, match="nobody is wanted"):
        check_removals(leaving(3, 3, 0))
    check_removals(leaving(3, 3, 0), "3")


def profile(email: str | None = "a@b.io", **channels: Any) -> dict[str, Any]:
    """A profile with its consent, as Klaviyo tells it."""
    told = {name: {"marketing": marketing} for name, marketing in channels.items()}
    identifiers = {"email": email} if email else {"phone_number": "+14155552671"}
    return {"type": "profile", "id": "P", "attributes": {**identifiers, "subscriptions": told}}


def consent(**marketing: Any) -> dict[str, Any]:
    """A profile with an address and this consent to e-mail."""
    found = profile()
    found["attributes"]["subscriptions"] = {"email": {"marketing": marketing}}
    return found


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (consent(consent="SUBSCRIBED", suppression=[]), None),
        (consent(consent="NEVER_SUBSCRIBED"), None),
        (consent(), None),
        (consent(consent="UNSUBSCRIBED"), "unsubscribed"),
        (consent(consent="SUBSCRIBED", suppression=[{"reason": "HARD_BOUNCE"}]), "suppressed"),
        (
            consent(list_suppressions=[{"list_id": "XyZ123", "reason": "UNSUBSCRIBE"}]),
            "unsubscribed",
        ),
        (consent(list_suppressions=[{"list_id": "Other1", "reason": "UNSUBSCRIBE"}]), None),
        (profile(None, sms={"consent": "UNSUBSCRIBED"}), "unsubscribed"),
        (profile("a@b.io", sms={"consent": "UNSUBSCRIBED"}), None),
        ({"id": "P", "attributes": {"subscriptions": "?"}}, None),
    ],
)
def test_what_consent_says_against_it(found: dict[str, Any], reason: Reason | None) -> None:
    """E-mail counts for who has an address, SMS for others; other lists do not."""
    assert refusal_in(found, "XyZ123") == reason


def account(script: Script) -> Account:
    """An account behind which a script answers."""
    return Account(script, remembering(), NOW, REVISION)


def listed(*pairs: tuple[str, str]) -> Any:
    """The answer to a question for lists."""
    return answer(
        200, {"data": [{"type": "list", "id": i, "attributes": {"name": n}} for i, n in pairs]}
    )


def test_a_list_is_known_by_its_id_or_its_name() -> None:
    """A name may look like an id."""
    one = answer(200, {"data": {"type": "list", "id": "XyZ123", "attributes": {"name": "News"}}})
    assert named_list("XyZ123", account(Script(one))) == ("XyZ123", "News")
    assert named_list("News", account(Script(listed(("XyZ123", "News"))))) == ("XyZ123", "News")
    script = Script(refusal(404, code="not_found"), listed(("XyZ123", "Buyers")))
    assert named_list("Buyers", account(script)) == ("XyZ123", "Buyers")


def test_a_list_that_is_not_there_is_told_with_those_that_are() -> None:
    """Small and large letters are not the same."""
    every = listed(("XyZ123", "News"), ("AbC456", "Buyers"))
    with pytest.raises(NoList, match=r"did you mean Buyers \(AbC456\)"):
        named_list("buyers", account(Script(refusal(404), listed(), every)))
    with pytest.raises(NoList, match=r"did you mean News \(XyZ123\)"):
        named_list("xyz123", account(Script(refusal(404), listed(), every)))
    with pytest.raises(NoList, match=r"there are: News \(XyZ123\), Buyers"):
        named_list("Nobody at all", account(Script(listed(), every)))
    with pytest.raises(Ended):
        named_list("XyZ123", account(Script(refusal(401))))


def test_members_are_read_to_the_last_page() -> None:
    """A hundred at a time, with nothing but identifiers."""
    first = answer(
        200,
        {
            "data": [{"id": "A", "attributes": {"email": "Ann@acme.io", "phone_number": None}}],
            "links": {"next": "https://a.klaviyo.com/api/lists/X/profiles?page%5Bcursor%5D=c2"},
        },
    )
    script = Script(first, answer(200, {"data": [{"id": "B", "attributes": {}}]}))
    found = list(members("XyZ123", account(script)))
    assert [each.id for each in found] == ["A", "B"]
    assert found[0].names == who(ANN)
    assert script.requests[0].query == {
        "page[size]": "100",
        "fields[profile]": "email,phone_number,external_id",
    }
    assert script.requests[1].query["page[cursor]"] == "c2"


def test_consent_is_asked_of_those_who_would_join() -> None:
    """A hundred at a time, by every identifier."""
    gone = consent(consent="UNSUBSCRIBED")
    gone["attributes"]["email"] = "Ann@acme.io"
    script = Script(answer(200, {"data": [gone]}))
    people = wanted(ANN, BEN).people
    assert refusals(people, "XyZ123", account(script)) == {people[0].names: "unsubscribed"}
    (request,) = script.requests
    assert request.query["additional-fields[profile]"] == "subscriptions"
    assert "ann@acme.io" in request.query["filter"]
    assert request.text is None
    assert refusals([], "XyZ123", account(Script(AssertionError("nothing to ask")))) == {}

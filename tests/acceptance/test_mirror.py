"""Audiences mirrored through the real processes, again and again, with hands at work between."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.stack import KEY, Stack
from tests.acceptance.warehouse import run, warehouse
from tests.contract.openapi import Contract, assert_requests_valid

NEWS = "XyZ123"


@pytest.fixture
def stack(described: Contract | None) -> Iterator[Stack]:
    """An installation for rows; what it asks Klaviyo is valid against Klaviyo's description."""
    with warehouse() as found:
        yield found
        if described:
            assert_requests_valid(described, found.requests())


def seed(stack: Stack, *emails: str) -> None:
    """A list with these members."""
    body = {"lists": [{"id": NEWS, "name": "Newsletter", "members": emails}]}
    stack.http.post(f"{stack.sandbox}/sandbox/seed", json=body).raise_for_status()


def emails(*numbers: int) -> list[str]:
    """Addresses of people by number."""
    return [f"p{each}@acme.io" for each in numbers]


def on_list(stack: Stack) -> set[str]:
    """The addresses on the list, at Klaviyo."""
    held = stack.held()
    (group,) = [each for each in held["lists"] if each["id"] == NEWS]
    return {each.get("email") for each in held["profiles"] if each["id"] in group["members"]}


def off_by_hand(stack: Stack, email: str) -> None:
    """Somebody takes a person off the list in Klaviyo's own pages."""
    (person,) = [each for each in stack.held()["profiles"] if each.get("email") == email]
    answer = stack.http.request(
        "DELETE",
        f"{stack.sandbox}/api/lists/{NEWS}/relationships/profiles",
        json={"data": [{"type": "profile", "id": person["id"]}]},
        headers={"authorization": "Klaviyo-API-Key pk_test", "revision": "2026-07-15"},
    )
    assert answer.status_code == 204, answer.text


def write(stack: Stack, *people: str, header: str = "email") -> None:
    """The audience as it is now."""
    (stack.folder / "audience.csv").write_text("\n".join([header, *people, ""]))


def mirror(stack: Stack, *arguments: str, file: str = "audience.csv") -> tuple[int, dict[str, Any]]:
    """Mirror: status and what was done."""
    told = ("--list", NEWS, "--server", stack.server, "--format", "json")
    status, out, err = run(stack, "audience", "mirror", file, *told, *arguments)
    assert out, err
    return status, json.loads(out)


def test_a_list_becomes_the_audience_by_difference(stack: Stack) -> None:
    """Ninety of a hundred with five new: ten leave, five join, ninety are not touched."""
    seed(stack, *emails(*range(100)))
    write(stack, *emails(*range(10, 105)))
    status, said = mirror(stack, "--dry-run")
    assert (status, said["members"], said["unchanged"]) == (0, 100, 90)
    assert (len(said["add"]), len(said["remove"])) == (5, 10)
    assert on_list(stack) == set(emails(*range(100)))

    status, said = mirror(stack)
    assert (status, said["posted"]["accepted"]) == (0, 15), said
    assert said["not_yet"] == {"added": 0, "removed": 0}
    assert on_list(stack) == set(emails(*range(10, 105)))
    counts = stack.settle()["connections"]["default"]
    assert (counts["accepted"], counts["delivered"], counts["dead"]) == (15, 15, 0)

    status, said = mirror(stack)
    assert (status, said["add"], said["remove"], said["posted"]["accepted"]) == (0, [], [], 0)


def test_what_people_did_at_klaviyo_is_kept(stack: Stack) -> None:
    """Taken off by hand, unsubscribed, suppressed: kept out, until it is forced."""
    seed(stack, *emails(1, 2, 3))
    profiles = [{"email": each} for each in emails(4, 5)]
    stack.http.post(f"{stack.sandbox}/sandbox/seed", json={"profiles": profiles})
    for body in (
        {
            "email": "p4@acme.io",
            "subscribe": ["email.marketing"],
            "unsubscribe": ["email.marketing"],
        },
        {"email": "p5@acme.io", "suppress": ["HARD_BOUNCE"]},
    ):
        stack.http.post(f"{stack.sandbox}/sandbox/consent", json=body).raise_for_status()
    write(stack, *emails(1, 2, 3, 4, 5, 6))
    status, said = mirror(stack)
    assert status == 0, said
    assert {each["email"]: each["reason"] for each in said["kept_out"]} == {
        "p4@acme.io": "unsubscribed",
        "p5@acme.io": "suppressed",
    }
    assert on_list(stack) == set(emails(1, 2, 3, 6))

    off_by_hand(stack, "p2@acme.io")
    off_by_hand(stack, "p6@acme.io")
    for _ in range(2):
        status, said = mirror(stack)
        reasons = {each["email"]: each["reason"] for each in said["kept_out"]}
        assert reasons["p2@acme.io"] == reasons["p6@acme.io"] == "removed_by_hand"
        assert on_list(stack) == set(emails(1, 3))
    assert "acme" not in "".join(
        each.read_text() for each in (stack.folder / ".destination" / "mirrors").glob("*.json")
    )

    status, said = mirror(stack, "--force")
    assert (status, len(said["add"])) == (0, 4)
    assert on_list(stack) == set(emails(1, 2, 3, 4, 5, 6))


def test_too_many_removals_are_held_and_change_nothing(stack: Stack) -> None:
    """An empty audience, and one that lost most of its people."""
    seed(stack, *emails(*range(60)))
    for people in ((), emails(*range(5))):
        write(stack, *people)
        status, said = mirror(stack)
        assert (status, "posted" in said) == (1, False)
        assert "--max-removals" in said["held"]
        assert len(on_list(stack)) == 60
    status, said = mirror(stack, "--max-removals", "95%")
    assert (status, said["held"]) == (0, None)
    assert on_list(stack) == set(emails(*range(5)))


def test_bad_rows_are_told_and_cost_no_other(stack: Stack) -> None:
    """Columns of other names, national numbers, a mapping with more than identifiers."""
    seed(stack, "p1@acme.io")
    write(
        stack,
        "P1@Acme.io ,,s",
        ",(415) 555-2671,s",
        "nonsense,,s",
        header="E-Mail,Phone Number,Secret",
    )
    status, said = mirror(stack, "--country", "US")
    assert (status, said["rejected"], said["unchanged"]) == (1, 1, 1)
    assert said["reasons"][0]["code"] == "invalid_email"
    assert "nonsense" in (stack.folder / "audience.rejected.csv").read_text("utf-8-sig")
    assert [each["phone_number"] for each in said["add"]] == ["+14155552671"]
    people = stack.held()["profiles"]
    assert {each.get("phone_number") for each in people} == {None, "+14155552671"}
    assert "Secret" not in json.dumps(people)

    fields = [
        {"origin_field": "Mail", "destination_field": "email"},
        {"origin_field": "Name", "destination_field": "first_name"},
    ]
    (stack.folder / "mapping.json").write_text(json.dumps({"mapped_fields": fields}))
    write(stack, "p7@acme.io,Seven", "p1@acme.io,One", header="Mail,Name")
    status, _said = mirror(stack, "--mapping", "mapping.json")
    assert status == 0
    named = {each.get("email"): each.get("first_name") for each in stack.held()["profiles"]}
    assert named["p7@acme.io"] == "Seven"
    assert on_list(stack) == {"p1@acme.io", "p7@acme.io"}


@pytest.fixture
def web(stack: Stack) -> Iterator[str]:
    """The installation's folder over HTTP."""
    handler = functools.partial(Quiet, directory=str(stack.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing."""

    def log_message(self, *_about: Any) -> None:
        """Not even here."""


def test_an_audience_comes_from_an_address(stack: Stack, web: str) -> None:
    """Whole or not at all; the copy does not stay."""
    seed(stack, "p1@acme.io")
    write(stack, *emails(1, 2))
    status, said = mirror(stack, file=f"{web}/audience.csv?token=secret")
    assert (status, said["unchanged"]) == (0, 1)
    assert on_list(stack) == set(emails(1, 2))
    assert list((stack.folder / ".destination" / "mirrors" / "fetched").iterdir()) == []
    status, _out, err = run(
        stack, "audience", "mirror", f"{web}/no.csv?token=secret", "--list", NEWS
    )
    assert status == 2
    assert "answers 404; nothing was changed" in err
    assert "secret" not in err


def test_mistakes_are_sentences_and_change_nothing(stack: Stack) -> None:
    """A wrong list, a wrong column, a wrong limit, mappings that want something else."""
    seed(stack, *emails(1))
    write(stack, *emails(1, 2))
    (stack.folder / "other.csv").write_text("name\nAnn\n")
    for arguments, words in (
        (("audience.csv", "--list", "newsletter"), "did you mean Newsletter (XyZ123)?"),
        (("audience.csv", "--list", NEWS.lower()), "did you mean Newsletter (XyZ123)?"),
        (("other.csv", "--list", NEWS), "no column names people"),
        (("no.csv", "--list", NEWS), "no file 'no.csv'"),
        (("audience.csv", "--list", NEWS, "--max-removals", "most"), "write 200 or 25%"),
        (("audience.csv", "--list", NEWS, "--source", "shop"), "no source 'shop'"),
    ):
        status, _out, err = run(stack, "audience", "mirror", *arguments, "--server", stack.server)
        assert (status, words in err) == (2, True), err
    stack.http.post(f"{stack.sandbox}/sandbox/keys", json={"key": "pk_test", "revoked": True})
    status, _out, err = run(stack, "audience", "mirror", "audience.csv", "--list", NEWS)
    assert (status, "Klaviyo cannot be asked" in err) == (2, True), err
    stack.http.post(f"{stack.sandbox}/sandbox/keys", json={"key": "pk_test"})
    everything = {
        "name": "all",
        "mappings": [
            {
                "name": "everything",
                "action": "trackEvent",
                "trigger": 'type = "track"',
                "fields": {
                    "metric_name": {"@path": "$.event"},
                    "profile": {"email": {"@path": "$.properties.email"}},
                    "properties": {},
                },
            }
        ],
    }
    (stack.mappings / "all.json").write_text(json.dumps(everything))
    told = ("audience.csv", "--list", NEWS, "--server", stack.server)
    status, _out, err = run(stack, "audience", "mirror", *told)
    assert (status, "everything would make something else of" in err) == (2, True), err
    assert on_list(stack) == {"p1@acme.io"}


def test_a_list_can_be_made(stack: Stack) -> None:
    """By its name; a dry run makes none."""
    write(stack, *emails(1, 2))
    told = ("audience.csv", "--list", "VIP customers", "--server", stack.server, "--create")
    status, _out, err = run(stack, "audience", "mirror", *told, "--dry-run")
    assert (status, "there are: none" in err) == (2, True), err
    status, out, err = run(stack, "audience", "mirror", *told)
    assert status == 0, err
    assert "The list is as wanted." in out
    (made,) = stack.held()["lists"]
    assert (made["name"], len(made["members"])) == ("VIP customers", 2)


def test_a_mirror_while_klaviyo_throttles_ends_well(stack: Stack) -> None:
    """It waits as long as Klaviyo asks, for reading as for writing."""
    seed(stack, *emails(*range(150)))
    rule = {
        "match": {"operation": "get_profiles_for_list"},
        "status": 429,
        "retry_after": "1",
        "times": 2,
    }
    down = {"match": {"operation": "get_profiles"}, "status": 503, "times": 1}
    stack.http.post(f"{stack.sandbox}/sandbox/faults", json=[rule, down]).raise_for_status()
    write(stack, *emails(*range(10, 160)))
    status, said = mirror(stack)
    assert (status, said["members"]) == (0, 150), said
    assert on_list(stack) == set(emails(*range(10, 160)))
    assert KEY not in json.dumps(said)

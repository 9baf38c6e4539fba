"""Klaviyo's side: F20 to F40."""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from itertools import pairwise
from typing import Any

from tests.chaos.evidence import attempts_in
from tests.chaos.installation import KLAVIYO_KEY, Installation, until
from tests.chaos.ordeal import Ordeal
from tests.chaos.proxy import Weather
from tests.chaos.scenarios.scenario import scenario
from tests.chaos.traffic import Message, message

WRITES = {"method": "POST"}
STREAM = {"operation": "bulk_create_events"}
IMPORT = {"operation": "bulk_import_profiles"}
UPDATE = {"operation": "update_profile"}


def trickle_in(ordeal: Ordeal, rounds: int, each: int = 10) -> None:
    """Post a little again and again, so that every rule meets a request."""
    for _ in range(rounds):
        ordeal.post(each)
        time.sleep(0.25)


def until_met(ordeal: Ordeal, rounds: int = 40, **kind: str) -> None:
    """Post until every rule at the sandbox has met a request: a few messages to idle lanes, which
    go alone, and many at once, which go in bulk, in turn. I18 tells of the rules that met none.
    """
    for number in range(rounds):
        many = number % 2
        if not many:
            ordeal.installation.drained(20)
        messages = ordeal.traffic.take(60 if many else 6, **kind)
        ordeal.post(messages, batch=len(messages), threads=1)
        time.sleep(0.25)
        if not ordeal.installation.unmet():
            return


def stands_alone(installation: Installation, rows: int) -> None:
    """Wait until so many rows are pending and nothing more is delivered."""
    until(
        lambda: installation.counts()["connections"]["default"]["pending"] == rows,
        40,
        installation.logs,
    )


@scenario("F20 F21")
def retry_after_of_every_kind(ordeal: Ordeal) -> None:
    """Whole, fraction, dates, nonsense, none."""
    now = time.time()
    values = [
        "0",
        "1",
        "1.5",
        "-5",
        "nan",
        "inf",
        "soon",
        "5, 10",
        "",
        formatdate(now - 100, usegmt=True),
        formatdate(now + 3, usegmt=True),
    ]
    for number, value in enumerate(values):
        match = (STREAM, IMPORT, {"operation": "create_event"})[number % 3]
        ordeal.installation.fault(
            f"Retry-After {value!r}", match=match, status=429, retry_after=value, times=1
        )
    ordeal.installation.fault("no Retry-After", match=STREAM, status=429, times=1)
    until_met(ordeal)


@scenario("F22")
def half_of_the_budget_stolen(ordeal: Ordeal) -> None:
    """Every second request is throttled since somebody else uses the account."""
    ordeal.installation.fault(
        "stolen", match=WRITES, status=429, retry_after="1", every=2, times=25
    )
    trickle_in(ordeal, 30, 20)


@scenario("F23", options={"batch": {"enabled": False}})
def one_request_after_a_pause(ordeal: Ordeal) -> None:
    """Klaviyo goes on throttling and takes its time to say so: it is asked by one at a time."""
    installation = ordeal.installation
    single = {"operation": "create_event"}
    installation.fault("429", match=single, status=429, retry_after="1", delay=0.3, times=20)
    with ordeal.posting(ordeal.traffic.take(200, kind="track")):
        time.sleep(12)
    installation.lift()
    refused = [each.t for each in attempts_in(installation.attempts_file()) if each.status == 429]
    later = [each for each in refused if each > refused[0] + 1]
    assert len(later) > 5, f"{len(later)} requests were refused after the first pause"
    close = [after - before for before, after in pairwise(later) if after - before < 1]
    assert not close, f"{len(close)} of {len(later)} were not alone: {close[:5]}"


@scenario("F23 F28", patience=150)
def a_herd_after_a_halt(ordeal: Ordeal) -> None:
    """The key is revoked for a while, 1,500 events wait, and it resumes by itself."""
    installation = ordeal.installation
    installation.control("keys", {"key": KLAVIYO_KEY, "revoked": True})
    ordeal.post(50)
    until(installation.halted, 20, installation.logs)
    refused = sum(each["status"] == 401 for each in installation.requests())
    ordeal.post(1450, batch=50, threads=4)
    time.sleep(3)
    again = sum(each["status"] == 401 for each in installation.requests())
    assert again - refused <= 3, f"{again - refused} requests with a refused key"
    installation.control("keys", {"key": KLAVIYO_KEY, "revoked": False})
    until(lambda: not installation.halted(), 75, installation.logs)
    installation.count("revoked key", 1)


@scenario("F24", alone=True, judged=False)
def a_daily_limit_on_new_lists(ordeal: Ordeal) -> None:
    """Who needs a new list waits for tomorrow; everybody else goes on."""
    installation = ordeal.installation
    match = {"operation": "create_list"}
    installation.fault("daily", match=match, status=429, retry_after="43200")
    new = message("enter", 0, 0, tag="new", chosen="brand new")
    del new.body["context"]["personas"]["external_audience_id"]
    ordeal.post([new, *ordeal.traffic.take(40, kind="track")])
    stands_alone(installation, 1)
    ordeal.post(ordeal.traffic.take(40, kind="track"))
    stands_alone(installation, 1)
    created = [each for each in installation.requests() if each["operation"] == "create_list"]
    assert len(created) == 1, f"{len(created)} requests for a list within the limit's day"


@scenario("F25")
def server_errors_of_every_kind(ordeal: Ordeal) -> None:
    """Of Klaviyo and of the edge before it."""
    for status in (500, 502, 503, 504, 520, 522, 524, 529):
        ordeal.installation.fault(
            f"status {status}", match=WRITES, status=status, html=status > 500, skip=1, times=1
        )
    trickle_in(ordeal, 30)


@scenario("F26")
def klaviyo_that_does_not_answer(ordeal: Ordeal) -> None:
    """Refused, silent, slow, endless."""
    installation = ordeal.installation
    proxy = installation.sandbox_proxy
    huge = {"x-odd": "x" * 200_000}
    installation.fault("huge header", match=WRITES, header=huge, times=1)
    installation.fault("endless body", match=STREAM, trickle=0.15, body="x" * 500, times=1)
    with ordeal.posting(200, batch=4):
        installation.kill("sandbox")
        time.sleep(3)
        installation.start("sandbox")
        installation.wait_ready()
        time.sleep(1)
        with installation.stopped("sandbox"):
            time.sleep(4)
    for name, weather in (
        ("klaviyo swallows", Weather(black_hole=True)),
        ("klaviyo trickles", Weather(trickle=0.02, times=4)),
        ("klaviyo resets before", Weather(reset="before", times=4)),
        ("klaviyo resets after", Weather(reset="after", times=4)),
        ("klaviyo cuts", Weather(cut=20, times=4)),
    ):
        before = proxy.hits
        with installation.weather(proxy, weather, name):
            trickle_in(ordeal, 6, 5)
            # Lanes may still wait from the weather before.
            until(lambda: proxy.hits > before, 20, installation.logs)  # noqa: B023 used at once


@scenario("F27")
def answers_lost_on_the_way(ordeal: Ordeal) -> None:
    """Before and after the write, in the middle of the answer, by script and by rule."""
    for apply in ("before", "after"):
        for match in (STREAM, IMPORT, {"operation": "create_event"}):
            ordeal.installation.fault(f"reset {apply}", match=match, apply=apply, times=2)
    ordeal.installation.fault("cut", match=IMPORT, cut=10, times=2)
    script = ["reset_after_apply", "reset_before_apply", "500_after_apply"]
    ordeal.post(ordeal.traffic.take(10, kind="track", script=script))
    trickle_in(ordeal, 10)
    until_met(ordeal)


@scenario("F29")
def an_edge_that_suspects_us(ordeal: Ordeal) -> None:
    """A 403 in HTML is no refused key."""
    ordeal.installation.fault("edge", match=WRITES, status=403, html=True, times=4)
    trickle_in(ordeal, 12)
    assert not ordeal.installation.halted()


@scenario("I6")
def a_profile_before_its_events(ordeal: Ordeal) -> None:
    """Posted one behind the other, the identify call is at Klaviyo first, though imports are slow."""
    installation = ordeal.installation
    installation.fault("slow imports", match=IMPORT, delay=1.2)
    tag, started = "first", len(installation.requests())
    pairs = []
    for number in range(300):
        person = 5000 + number
        pairs.append(
            (
                message("identify", 2 * number, person, tag=tag),
                message("track", 2 * number + 1, person, tag=tag),
            )
        )
    for begin in range(0, len(pairs), 10):
        ordeal.post([each for pair in pairs[begin : begin + 10] for each in pair], batch=20)
        time.sleep(0.15)
    assert installation.drained(60), installation.logs()
    at: dict[str, int] = {}
    for number, asked in enumerate(installation.requests()[started:]):
        for mid in re.findall(rf"'({tag}-\d+)'", str(asked["body"])):
            at.setdefault(mid, number)
    late = [track.id for identify, track in pairs if at[track.id] <= at[identify.id]]
    assert not late, f"{len(late)} of {len(pairs)} events went before their person: {late[:5]}"


CONFLICTS: tuple[Any, ...] = (
    {"errors": [{"status": 409, "code": "duplicate_profile", "meta": None}]},
    {"errors": [{"status": 409, "code": "duplicate_profile", "meta": {}}]},
    {"errors": []},
    {"errors": "conflict"},
    [],
    "not json",
)


@scenario("F30")
def conflicts_without_an_id(ordeal: Ordeal) -> None:
    """Looked up, saved or dead with a reason, and never asked for again and again."""
    installation = ordeal.installation
    for body in CONFLICTS:
        chosen = ordeal.traffic.take(1, kind="identify")
        ordeal.doubt(chosen)
        match = {"operation": "create_profile"}
        installation.fault("409", match=match, status=409, body=body, times=1)
        before = len(installation.requests())
        ordeal.post(chosen)
        assert installation.drained(40), installation.logs()
        asked = len(installation.requests()) - before
        assert asked <= 8, f"{asked} requests after a 409 with {body!r}"
        installation.lift()


@scenario("F33 F34")
def bad_rows_among_a_thousand(ordeal: Ordeal) -> None:
    """One, three and all bad; pointers that are missing, right, wrong, out of range."""
    installation = ordeal.installation
    for count, rows, pointer in ((1, 1000, ""), (3, 500, "/data/attributes/x/data/0"), (8, 8, "")):
        bad = ordeal.traffic.take(count, kind="track")
        ordeal.doom(bad)
        for each in bad:
            error = {"status": 400, "code": "invalid", "source": {"pointer": pointer}}
            match = {"method": "POST", "body_contains": f'"{each.id}"'}
            installation.fault("bad row", match=match, status=400, body={"errors": [error]})
        good = ordeal.traffic.take(rows - count, kind="track")
        middle = len(good) // 2
        ordeal.post([*good[:middle], *bad, *good[middle:]], batch=250, threads=1)
        assert installation.drained(90), installation.logs()
        installation.lift()


@scenario("F35", patience=120)
def imports_that_fail_in_parts(ordeal: Ordeal) -> None:
    """Errors over several pages; a job that is cancelled, and one that has gone."""
    installation = ordeal.installation
    people = range(1000, 1250)
    bad = [_refused_import(ordeal, person) for person in people]
    ordeal.doom(bad)
    good = ordeal.traffic.take(300, kind="identify")
    ordeal.post([*good[:150], *bad, *good[150:]], batch=100, threads=1)
    assert installation.drained(60), installation.logs()
    for how in ("cancelled", "gone"):
        installation.control("switches", {"jobs_stuck": True})
        ordeal.post(ordeal.traffic.take(40, kind="identify"))
        until(lambda: _jobs(installation), 20, installation.logs)
        installation.disturb(f"imports {how}")
        for job in _jobs(installation):
            installation.control("jobs", {"id": job["id"], "status": how})
        installation.control("switches", {"jobs_stuck": False})
        installation.count(f"job {how}", 1)
        assert installation.drained(60), installation.logs()


def _jobs(installation: Installation) -> list[dict[str, Any]]:
    unfinished = {"queued", "processing"}
    return [each for each in installation.held()["jobs"] if each["status"] in unfinished]


def _refused_import(ordeal: Ordeal, person: int) -> Message:
    made = message("identify", 10_000 + person, person, tag=ordeal.traffic.tag)
    made.body["traits"]["__import_error"] = "refused on purpose"
    return made


@scenario("F37")
def profiles_of_the_largest_size(ordeal: Ordeal) -> None:
    """Just under the limit goes, just above it is dead, and neither costs its neighbours."""
    fits, burst = (
        message("identify", 20_000 + size, 2000 + size, tag="size", filler="x" * (99_000 + size))
        for size in (0, 2_000)
    )
    ordeal.doom([burst])
    ordeal.post([*ordeal.traffic.take(20), fits, burst, *ordeal.traffic.take(20)], threads=1)
    ordeal.installation.count("sizes", 2)


@scenario("F38", alone=True, judged=False)
def a_region_that_takes_no_sms(ordeal: Ordeal) -> None:
    """The consent to e-mail is given all the same."""
    installation = ordeal.installation
    installation.control("switches", {"sms_prefixes": "+1"})
    people = [message("subscribe", n, n, tag="sms", phone=f"+4420794600{n:02}") for n in range(5)]
    ordeal.post([*people, *ordeal.traffic.take(20)])
    assert installation.drained(40), installation.logs()
    held: dict[str, Any] = {}

    def all_held() -> bool:  # Klaviyo works a consent off a moment after it was taken
        held.update({each["email"]: each["consent"] for each in installation.held()["profiles"]})
        return all(each.email in held for each in people)

    until(all_held, 10, installation.logs())
    for each in people:
        assert held[each.email].get("email.marketing") == "SUBSCRIBED", each.email
        assert held[each.email].get("sms.marketing") != "SUBSCRIBED", each.email


@scenario("F39", alone=True, judged=False)
def a_list_that_is_not_there(ordeal: Ordeal) -> None:
    """Its rows wait or are dead; other lists and mappings go on."""
    installation = ordeal.installation
    lost = [message("enter", n, 50 + n, tag="lost", chosen="NOLIST") for n in range(5)]
    there = [message("enter", n, n, tag="there") for n in range(20)]
    ordeal.post([*lost, *there, *ordeal.traffic.take(40, kind="track")], threads=1)

    def others_done() -> bool:
        totals = installation.counts()["connections"]["default"]
        return bool(totals["delivered"] == 60 and totals["pending"] + totals["dead"] == 5)

    until(others_done, 40, installation.logs)
    time.sleep(2)
    asked = [each for each in installation.requests() if "NOLIST" in str(each["body"])]
    assert len(asked) <= 10, f"{len(asked)} requests about a list that is not there"


NONSENSE: tuple[dict[str, Any], ...] = (
    {"status": 202, "body": "<html>hello</html>", "apply": "after"},
    {"status": 202, "body": "", "apply": "after"},
    {"status": 202, "body": [], "apply": "after"},
    {"status": 202, "body": {"data": {"id": 7}}, "apply": "after"},
    {"status": 202, "body": {"data": {"id": "x", "new": [1]}, "more": 1}, "apply": "after"},
    {"status": 200, "body": {"data": None}, "apply": "before"},
)


@scenario("F40")
def successes_that_make_no_sense(ordeal: Ordeal) -> None:
    """HTML, nothing, arrays, numbers for ids: tried again where an id is needed."""
    for rule in NONSENSE:
        ordeal.installation.fault(f"nonsense {rule['body']!r}", match=IMPORT, times=1, **rule)
        if rule["apply"] == "after":  # an answer to one row needs no id, so it must be true
            alone = {**rule, "status": 200}
            name = f"nonsense alone {rule['body']!r}"
            ordeal.installation.fault(name, match=UPDATE, times=1, **alone)
    until_met(ordeal, kind="identify")
    answer = {"data": [], "links": {"next": "http://127.0.0.1:1/api/steal"}}
    match = {"method": "GET", "path_prefix": "/api/profiles"}
    ordeal.installation.fault("foreign link", match=match, status=200, body=answer, times=1)
    ordeal.post(ordeal.traffic.take(10, kind="list"))
    ordeal.post([message("leave", 30_000, 1, tag="next")])


@scenario("F25 I12", judged=False, alone=True)
def one_row_that_klaviyo_stumbles_over(ordeal: Ordeal) -> None:
    """A row that is always answered 500 holds up nobody else."""
    installation = ordeal.installation
    bad = ordeal.traffic.take(1, kind="track")
    match = {"method": "POST", "body_contains": f'"{bad[0].id}"'}
    installation.fault("stumbles", match=match, status=500)
    others = [
        each for each in ordeal.traffic.take(80, kind="track") if each.person != bad[0].person
    ]
    ordeal.post([*bad, *others], threads=1)
    until(
        lambda: installation.counts()["connections"]["default"]["delivered"] == len(others),
        60,
        lambda: f"{installation.counts()['connections']['default']}",
    )

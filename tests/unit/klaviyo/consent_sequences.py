"""Random sequences of decisions and of what must not touch consent, with failures on the way.

Run as a program it tries many more than the tests do::

    python -m tests.unit.klaviyo.consent_sequences 100000

Each sequence has a number, which alone decides what happens in it.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from destination.action import Payload
from destination.delivery import Delivered, Outcome, Retry, Submitted
from destination.klaviyo import KLAVIYO
from destination.pipeline import Delivery, deliver
from destination.sending import Account, Request, Response
from tests.unit.klaviyo.fake_klaviyo import FakeKlaviyo, Fault
from tests.unit.klaviyo.klaviyo_script import NOW, Times, answer, remembering

YES, NO = ("subscribeProfile", "unsuppressProfile"), ("unsubscribeProfile", "suppressProfile")
OTHERS = ("upsertProfile", "addProfileToList", "removeProfileFromList")
FAULTS: tuple[Fault, ...] = ("before", "after", "429", "500", "503 html", "403 html", "no room")
LANES = {
    **dict.fromkeys((*YES, *NO), "consent"),
    "upsertProfile": "upsert",
    "addProfileToList": "lists",
    "removeProfileFromList": "lists",
}
PEOPLE = {"p0": ("a@acme.io", "+14155552671"), "p1": ("b@acme.io", ""), "p2": ("A@acme.io", "")}
"""Who the events are about: the third has the first one's address under another name."""

Address = str


class ConsentKlaviyo(FakeKlaviyo):
    """What it is told last about an address counts; a yes lifts suppressions."""

    def __init__(self, random: Random, trouble: float) -> None:
        super().__init__(points=random.random() < 0.5)
        self.random, self.trouble = random, trouble
        self.consents: dict[Address, bool] = {}
        self.suppressed: set[Address] = set()
        self.agreed: list[Address] = []

    def __call__(self, request: Request) -> Response:
        """The answer; now and then one that fails, or none after all was done."""
        self.faults = [self.random.choice(FAULTS)] if self.random.random() < self.trouble else []
        return super().__call__(request)

    def bulk_subscribe_profiles(self, request: Request) -> Response:
        """A yes for every channel that is spoken of; whoever is named joins the list."""
        for row in request.json["data"]["attributes"]["profiles"]["data"]:
            id_ = self.save({k: v for k, v in row["attributes"].items() if k != "subscriptions"})
            if "relationships" in request.json["data"]:
                self.members.add(id_)
        for address in addresses(request):
            self.consents[address] = True
            self.suppressed.discard(address)
            self.agreed.append(address)
        return answer(202)

    def bulk_unsubscribe_profiles(self, request: Request) -> Response:
        """A no; from everything whoever is not on the list."""
        named = "relationships" in request.json["data"]
        joined = {
            str(self.profiles[id_].get(name, "")).lower(): id_
            for id_ in self.members
            for name in ("email", "phone_number")
        }
        for address in addresses(request):
            self.consents[address] = False
            if not named or address not in joined:
                self.globally.add(address)
        if named:
            self.members -= {joined[each] for each in addresses(request) if each in joined}
        return answer(202)

    def bulk_suppress_profiles(self, request: Request) -> Response:
        """No mail, whatever the consent."""
        self.suppressed |= set(addresses(request))
        return answer(202)

    def bulk_unsuppress_profiles(self, request: Request) -> Response:
        """Mail again, as far as there is consent."""
        self.suppressed -= set(addresses(request))
        return answer(202)

    def reaches(self, address: Address) -> bool:
        """Whether marketing goes to an address."""
        return self.consents.get(address, False) and address not in self.suppressed


def addresses(request: Request) -> Iterator[Address]:
    """The addresses that a request is about, as Klaviyo compares them."""
    for row in request.json["data"]["attributes"]["profiles"]["data"]:
        found = row["attributes"]
        spoken = found.get("subscriptions", {"email": {}})
        if "email" in spoken and "email" in found:
            yield found["email"].lower()
        if "sms" in spoken:
            yield found["phone_number"]


@dataclass
class Step:
    """One accepted event: ``place`` is its number in the order of acceptance."""

    place: int
    action: str
    person: str
    addresses: tuple[Address, ...]
    decided: float
    payload: Payload
    end: Outcome | None = None


@dataclass
class Run:
    """One sequence: its events, what Klaviyo holds in the end, and what went wrong with it."""

    number: int
    steps: list[Step] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Sequence:
    """Delivers the events of one sequence as workers do, until each has its end."""

    def __init__(self, number: int, times: Times | None = None) -> None:
        self.random = Random(number)
        self.run = Run(number)
        trouble = self.random.choice((0.0, 0.1, 0.3))
        self.deaths = self.random.choice((0.0, 0.0, 0.1))
        self.klaviyo = ConsentKlaviyo(self.random, trouble)
        self.times = times or Times()
        self.lanes: dict[str, list[Step]] = defaultdict(list)
        self.chains: dict[tuple[str, str], list[Step]] = defaultdict(list)
        self.dead: list[Step] = []
        self.newest_no: dict[Address, float] = defaultdict(float)
        self.clock = NOW

    def go(self) -> Run:
        """Accept some events, work, accept more; then work until nothing waits."""
        for step in self.steps():
            self.run.steps.append(step)
            self.lanes[LANES[step.action]].append(step)
            if self.random.random() < 0.4:
                self.work()
        for _ in range(400):
            if not self.pending():
                break
            self.work()
        self.judge()
        return self.run

    def steps(self) -> Iterator[Step]:
        amount = self.random.randint(2, 12)
        moments = self.random.sample(range(1, 1000), amount)
        if self.random.random() < 0.4:  # half as often as not the events come in order
            moments.sort()
        for place, moment in enumerate(moments):
            person = self.random.choice(list(PEOPLE))
            name = self.random.choice((*YES[:1], *NO[:1], *YES, *NO, *OTHERS))
            yield self.step(place, name, person, NOW - 1000 + moment)

    def step(self, place: int, name: str, person: str, decided: float) -> Step:
        email, phone = PEOPLE[person]
        raw: dict[str, Any] = {"email": email}
        if phone and self.random.random() < 0.6:
            raw["phone_number"] = phone
        if name in (*YES, *NO):
            raw["decided_at"] = datetime.fromtimestamp(decided, UTC).isoformat()
        if name in OTHERS[1:] or (name.endswith("scribeProfile") and self.random.random() < 0.5):
            raw["list_id"] = "L"
        payload = KLAVIYO.actions[name].prepare(raw, NOW)
        mine = tuple(payload[each] for each in ("email", "phone_number") if each in payload)
        touched = tuple(each.lower() for each in mine)
        return Step(place, name, person, touched, decided, payload)

    def pending(self) -> bool:
        """Whether anything still waits."""
        return any(self.lanes.values()) or any(self.chains.values()) or bool(self.dead)

    def work(self) -> None:
        """One pass over each lane; sometimes what was parked or is dead comes back first."""
        self.clock += 1
        for (lane, person), chain in list(self.chains.items()):
            if chain and self.random.random() < 0.6:
                self.lanes[lane][:0] = self.chains.pop((lane, person))
        if self.dead and self.random.random() < 0.3:
            step = self.dead.pop()
            self.lanes[LANES[step.action]].append(step)  # a replay stands behind what is newer
        for lane in list(self.lanes):
            self.pass_over(lane)

    def pass_over(self, lane: str) -> None:
        """Take rows from the head; no row overtakes an earlier one of its person."""
        rows = self.lanes[lane][: self.random.randint(1, 6)]
        chosen: dict[str, list[Step]] = {}
        claimed: dict[str, str] = {}
        late = {person for (each, person), chain in self.chains.items() if each == lane and chain}
        for step in rows:
            if step.person in late or claimed.setdefault(step.person, step.action) != step.action:
                late.add(step.person)
            else:
                chosen.setdefault(step.action, []).append(step)
        if self.random.random() < 0.05:  # the worker dies after it has sent, before it has recorded
            for name, steps in chosen.items():
                self.attempt(name, steps)
            return
        for name, steps in chosen.items():
            for step, outcome in zip(steps, self.attempt(name, steps), strict=True):
                self.settle(lane, step, outcome)
        self.behind(lane)

    def attempt(self, name: str, steps: list[Step]) -> list[Outcome]:
        """One delivery of these rows, with the polling of what was submitted."""
        action, one = KLAVIYO.actions[name], self.account()
        self.klaviyo.agreed.clear()
        rows = [Delivery(step.person, step.payload) for step in steps]
        batched = self.random.random() < 0.7

        def tried(numbers: Iterable[int]) -> Account:
            for step in (steps[number] for number in numbers if name in NO):
                for each in step.addresses:
                    self.newest_no[each] = max(step.decided, self.newest_no[each])
            return one

        outcomes = deliver(rows, action, tried, batched=batched)
        for each in self.klaviyo.agreed:
            said = newest(step for step in steps if each in step.addresses)
            self.expect(said > self.newest_no[each], f"a yes for {each} undid a newer no")
        return [Delivered() if isinstance(each, Submitted) else each for each in outcomes]

    def account(self) -> Account:
        """The account as it is now."""
        told = self.times
        return Account(
            self.klaviyo, remembering(), self.clock, "2026-07-15", told.recall, told.remember
        )

    def settle(self, lane: str, step: Step, outcome: Outcome) -> None:
        """A row leaves the lane, or waits; sometimes it is given up, to be replayed later."""
        if isinstance(outcome, Retry):
            if not outcome.spends and outcome.after == 0:
                return  # its turn comes with the next pass
            self.lanes[lane].remove(step)
            if self.random.random() < self.deaths:
                self.dead.append(step)
            else:
                self.chains[lane, step.person].append(step)
            return
        self.lanes[lane].remove(step)
        step.end = outcome

    def behind(self, lane: str) -> None:
        """What stands in the lane of a parked person waits behind them."""
        for step in list(self.lanes[lane]):
            if self.chains.get((lane, step.person)):
                self.lanes[lane].remove(step)
                self.chains[lane, step.person].append(step)

    def judge(self) -> None:
        """What must hold in the end, whatever went wrong on the way."""
        self.expect(not self.pending(), "something never ends")
        asked = [step for step in self.run.steps if step.action == NO[0]]
        named = {each for step in asked if "list_id" not in step.payload for each in step.addresses}
        self.expect(self.klaviyo.globally <= named, "somebody lost everything unasked")
        for address in {each for step in self.run.steps for each in step.addresses}:
            self.judge_address(address)

    def judge_address(self, address: Address) -> None:
        """Marketing reaches an address only if its newest decision is a yes that was sent."""
        mine = [step for step in self.run.steps if address in step.addresses]
        yes = [step for step in mine if step.action == YES[0]]
        left = [step for step in mine if step.action == NO[0] and withdrew(step, address)]
        lifted = yes + [step for step in mine if step.action == YES[1]]
        stopped = [step for step in mine if step.action == NO[1] and "@" in address]
        if self.klaviyo.reaches(address):
            self.expect(newest(yes) > newest(left), f"{address} is reached against a newer no")
            self.expect(newest(lifted) > newest(stopped) or not stopped, f"{address} is suppressed")
            self.expect(bool(yes), f"{address} was subscribed by nobody")
        elif not self.deaths and len({step.person for step in mine}) == 1:
            last = max(yes, key=lambda step: step.decided, default=None)
            held = [step for step in mine if step.action in NO]
            lost = last and all(
                step.decided < last.decided and step.place < last.place for step in held
            )
            self.expect(not lost, f"{address} lost its newest yes")

    def expect(self, held: bool, what: str) -> None:
        """Note what does not hold."""
        if not held:
            self.run.faults.append(what)


def newest(steps: Iterable[Step]) -> float:
    """When the newest was decided."""
    return max((step.decided for step in steps), default=0.0)


def withdrew(step: Step, address: Address) -> bool:
    """Whether something was taken back: who is not on the list asks for nothing that they have."""
    name = "email" if "@" in address else "phone_number"
    note = step.end.note if isinstance(step.end, Delivered) else ""
    return isinstance(step.end, Delivered) and f"{name}_not_on_list" not in note


def failures(first: int, amount: int) -> list[Run]:
    """The sequences with these numbers in which something does not hold."""
    runs = (Sequence(number).go() for number in range(first, first + amount))
    return [run for run in runs if run.faults]


def say(line: str) -> None:
    """A line for whoever runs this."""
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Try as many sequences as the first argument says, from the number in the second on."""
    amount = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    started = time.monotonic()
    found = failures(first, amount)
    for run in found[:5]:
        say(f"sequence {run.number}: {'; '.join(run.faults)}")
        for step in run.steps:
            say(f"  {step.place} {step.action} {step.payload} -> {step.end}")
    seconds = time.monotonic() - started
    say(f"{amount} sequences from {first}: {len(found)} failed, {seconds:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""The lanes, one command each; see docs/reliability.md."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from click import echo as say

from tests.chaos import campaign, full, isolation, ordering, pace, resuming
from tests.chaos.sabotage import LANE, commit_sabotage

SEEDS = Path(__file__).with_name("seeds.txt")


def sabotage(seed: int, arguments: argparse.Namespace) -> bool:
    """Every deliberate bug must be found."""
    names = arguments.only or list(LANE)
    missed = []
    for name in names:
        started = time.monotonic()
        caught, told = commit_sabotage(name, seed, innocent=arguments.innocent)
        verdict = "ok    " if caught else "MISSED"
        say(f"{verdict} {name} ({time.monotonic() - started:.0f} s)")
        for line in told.splitlines():
            say(f"       {line}")
        if not caught:
            missed.append(name)
    what = "innocent runs acquitted" if arguments.innocent else "deliberate bugs found"
    say(f"{len(names) - len(missed)} of {len(names)} {what}")
    return not missed


def kill(seed: int, arguments: argparse.Namespace) -> bool:
    """Kills at random."""
    return campaign.run(seed, kills=arguments.kills, events=arguments.events)


def every_fault(seed: int, arguments: argparse.Namespace) -> bool:
    """The catalogue."""
    return full.run(seed, arguments.only or ())


def order(seed: int, _arguments: argparse.Namespace) -> bool:
    """Nobody overtakes themselves."""
    held = [ordering.run(seed, batched=batched) for batched in (True, False)]
    return all(held)


def fairness(seed: int, _arguments: argparse.Namespace) -> bool:
    """Nobody suffers from a neighbour."""
    return isolation.run(seed)


def politeness(seed: int, _arguments: argparse.Namespace) -> bool:
    """The allowed rate is used, and not more."""
    return pace.run(seed)


def resume(seed: int, _arguments: argparse.Namespace) -> bool:
    """A lane goes on soon after its worker has died."""
    return resuming.run(seed)


LANES: dict[str, Callable[[int, argparse.Namespace], bool]] = {
    "campaign": kill,
    "full": every_fault,
    "isolation": fairness,
    "order": order,
    "pace": politeness,
    "resume": resume,
    "sabotage": sabotage,
}


def kept_seeds(lane: str) -> list[int]:
    """The seeds with which a lane has failed once."""
    lines = [line.split() for line in SEEDS.read_text("utf-8").splitlines()]
    return sorted({int(line[1]) for line in lines if line[:1] == [lane]})


def keep(lane: str, seed: int) -> None:
    """Note a seed with which a lane has failed."""
    if seed not in kept_seeds(lane):
        with SEEDS.open("a", encoding="utf-8") as kept:
            kept.write(f"{lane} {seed}\n")


def main() -> int:
    """Run a lane; status 1 when something does not hold, and its seed is kept then."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("lane", choices=sorted(LANES))
    parser.add_argument("--seed", type=int, help="default: a new one")
    parser.add_argument("--kept", action="store_true", help="all seeds that have failed once")
    parser.add_argument("--only", action="append", help="run only this part of the lane")
    parser.add_argument("--innocent", action="store_true", help="sabotage without the bugs")
    parser.add_argument("--kills", type=int, default=200, help="of the campaign")
    parser.add_argument("--events", type=int, default=50_000, help="of the campaign")
    arguments = parser.parse_args()
    seeds = [random.randrange(10**6) if arguments.seed is None else arguments.seed]
    if arguments.kept:
        seeds = kept_seeds(arguments.lane)
    return max([_run(arguments.lane, seed, arguments) for seed in seeds], default=0)


def _run(lane: str, seed: int, arguments: argparse.Namespace) -> int:
    say(f"CHAOS_SEED={seed}")
    started = time.monotonic()
    good = LANES[lane](seed, arguments)
    say(f"{lane} {'holds' if good else 'FAILED'} after {time.monotonic() - started:.0f} s")
    if not good and not arguments.innocent:
        keep(lane, seed)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""The full lane: every fault of the catalogue, one after the other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click import echo as say

from tests.chaos.installation import Installation
from tests.chaos.ordeal import Ordeal
from tests.chaos.reconciler import reconcile, report
from tests.chaos.scenarios import klaviyo, processes, rolling, storage
from tests.chaos.scenarios.scenario import SCENARIOS, Scenario

PARTS = (processes, klaviyo, rolling, storage)
"""Imported for what they add to ``SCENARIOS``."""


class Bench:
    """The installation in use; whoever spoils it gets or leaves a new one."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._round = 0
        self._ordeal: Ordeal | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def ordeal(self, scenario: Scenario) -> Ordeal:
        """One that is fit for the scenario."""
        if scenario.alone:
            self.drop()
        if self._ordeal is None:
            self._folder = tempfile.TemporaryDirectory(prefix="chaos")
            installation = Installation(Path(self._folder.name), **(scenario.options or {}))
            self._round += 1
            self._ordeal = Ordeal(installation, self._seed + self._round, people=100)
            if scenario.started:
                self._ordeal.start()
        return self._ordeal

    def drop(self) -> None:
        """Stop what runs."""
        if self._ordeal is not None:
            self._ordeal.close()
            self._ordeal = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def run(seed: int, only: Sequence[str] = ()) -> bool:
    """Run the scenarios (or those with these names or numbers). True when everything holds."""
    chosen = [each for each in SCENARIOS if not only or {each.name, *each.ids.split()} & {*only}]
    bench = Bench(seed)
    failed = []
    try:
        for scenario in chosen:
            started = time.monotonic()
            wrong = _try(bench, scenario)
            took = time.monotonic() - started
            said = "FAILED" if wrong else "ok    "
            say(f"{said} {scenario.ids:<8} {scenario.name} ({took:.0f} s)")
            if wrong:
                failed.append(scenario.name)
                say(wrong)
            if wrong or scenario.alone:
                bench.drop()
    finally:
        bench.drop()
    say(f"{len(chosen) - len(failed)} of {len(chosen)} scenarios hold")
    return not failed


def _try(bench: Bench, scenario: Scenario) -> str:
    """What is wrong; empty when all is well."""
    ordeal = bench.ordeal(scenario)
    try:
        scenario.run(ordeal)
        if not scenario.judged:
            return ""
        evidence = ordeal.settle(scenario.patience)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 the next scenario has its own right
        return f"{type(error).__name__}: {str(error)[:3000]}"
    findings = reconcile(evidence)
    if all(finding.holds for finding in findings):
        return ""
    return report(findings, evidence)

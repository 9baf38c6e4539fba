"""Whatever arrives in whatever order and fails on the way: nobody is reached against their will."""

from __future__ import annotations

from collections.abc import Mapping

from destination.delivery import Delivered
from tests.unit.klaviyo.consent_sequences import Sequence, failures
from tests.unit.klaviyo.klaviyo_script import Times

SEQUENCES = 2_000


def test_consent_is_never_given_against_a_newer_no() -> None:
    """The first sequences; ``python -m tests.unit.klaviyo.consent_sequences`` tries 100,000."""
    found = failures(0, SEQUENCES)
    assert not found, [(run.number, run.faults, run.steps) for run in found[:3]]


class Forgetful(Times):
    """Remembers nothing that it is told."""

    def remember(self, times: Mapping[str, float]) -> None:
        """Forget it."""


def test_the_sequences_notice_an_account_that_forgets() -> None:
    """Or they would prove nothing."""
    runs = [Sequence(number, Forgetful()).go() for number in range(200)]
    faults = " ".join(fault for run in runs for fault in run.faults)
    assert "undid a newer no" in faults
    assert "is reached against a newer no" in faults


def test_the_sequences_are_not_empty_talk() -> None:
    """Yeses come late, are delivered, dropped, repeated and replayed in them."""
    runs = [Sequence(number).go() for number in range(200)]
    ends = [getattr(step.end, "code", "") for run in runs for step in run.steps]
    assert ends.count("older_than_unsubscribe") > 50
    assert ends.count("accepted_by_klaviyo") > 300
    assert ends.count("not_on_list") > 20
    notes = [step.end.note for run in runs for step in run.steps if isinstance(step.end, Delivered)]
    assert "email_older_than_unsubscribe" in " ".join(notes)

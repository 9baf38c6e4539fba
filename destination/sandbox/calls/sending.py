"""Sending campaigns: estimates, send jobs, cancelling."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from destination.sandbox.calls.call import EMPTY, Answer, Call, Handler
from destination.sandbox.calls.campaigns import known
from destination.sandbox.calls.documents import resource, single
from destination.sandbox.clock import moment
from destination.sandbox.errors import Refused, invalid, not_found
from destination.sandbox.world.account import Account
from destination.sandbox.world.audience import audience
from destination.sandbox.world.campaigns import (
    CANCELLED,
    DRAFT,
    NO_RECIPIENTS,
    SCHEDULED,
    SENDING,
    SENT,
    Campaign,
)
from destination.sandbox.world.jobs import CANCELLED as JOB_CANCELLED
from destination.sandbox.world.jobs import COMPLETE, PROCESSING, QUEUED
from destination.sandbox.world.templates import may_be_sent

SEND_JOB = "campaign-send-job"
ESTIMATION_JOB, ESTIMATION = "campaign-recipient-estimation-job", "campaign-recipient-estimation"


def refresh_estimation(call: Call) -> Answer:
    """POST /campaign-recipient-estimation-jobs: counted later."""
    campaign = known(call, call.body["data"]["id"])
    campaign.estimation = QUEUED

    def count(_due: float) -> None:
        campaign.estimated = len(audience(call.account, campaign))
        campaign.estimation = COMPLETE

    call.account.schedule.at(call.now + call.switches.job_queued_seconds, count)
    return _job(call, 202, ESTIMATION_JOB, campaign.id, {"status": QUEUED})


def get_estimation_job(call: Call) -> Answer:
    """GET /campaign-recipient-estimation-jobs/{id}."""
    campaign = known(call, call.id)
    if campaign.estimation is None:
        raise not_found(ESTIMATION_JOB, call.id)
    return _job(call, 200, ESTIMATION_JOB, campaign.id, {"status": campaign.estimation})


def get_estimation(call: Call) -> Answer:
    """GET /campaign-recipient-estimations/{id}: as of the last job."""
    campaign = known(call, call.id)
    if campaign.estimated is None:
        raise not_found(ESTIMATION, call.id)
    attributes = {"estimated_recipient_count": campaign.estimated}
    return _job(call, 200, ESTIMATION, campaign.id, attributes)


def send_campaign(call: Call) -> Answer:
    """POST /campaign-send-jobs: at once, or scheduled as the campaign's strategy says."""
    campaign = known(call, call.body["data"]["id"])
    due = _check_sendable(call, campaign)
    account, seconds = call.account, call.switches.send_seconds
    campaign.run += 1
    campaign.job = QUEUED
    begin = partial(_begin, account, campaign, campaign.run, seconds)
    if due is None:
        campaign.status = SENDING
        account.schedule.at(call.now + call.switches.job_queued_seconds, begin)
    else:
        campaign.status, campaign.scheduled = SCHEDULED, due
        campaign.job = COMPLETE
        account.schedule.at(due, begin)
    return _job(call, 202, SEND_JOB, campaign.id, {"status": QUEUED})


def get_send_job(call: Call) -> Answer:
    """GET /campaign-send-jobs/{id}."""
    campaign = known(call, call.id)
    if campaign.job is None:
        raise not_found(SEND_JOB, call.id)
    return _job(call, 200, SEND_JOB, campaign.id, {"status": campaign.job})


def cancel_campaign_send(call: Call) -> Answer:
    """PATCH /campaign-send-jobs/{id}: cancel for good, or revert to a draft."""
    campaign = known(call, call.id)
    if campaign.status not in {SCHEDULED, SENDING}:
        raise invalid(f"A campaign that is {campaign.status} is not being sent.", "/data/id")
    cancel = call.body["data"]["attributes"]["action"] == "cancel"
    campaign.status = CANCELLED if cancel else DRAFT
    campaign.job, campaign.scheduled = JOB_CANCELLED, None
    campaign.run += 1
    campaign.updated = call.now
    return EMPTY


def _check_sendable(call: Call, campaign: Campaign) -> float | None:
    """When it is to be sent, None for at once; raises ``Refused`` (400)."""
    if campaign.status != DRAFT:
        raise _refused(f"A campaign that is {campaign.status} cannot be sent.")
    for message in campaign.messages:
        if message.definition["channel"] != "email":
            continue
        template = call.account.templates.get(message.template or "")
        if template is None:
            raise _refused("The message has no template.")
        if not may_be_sent(template):
            raise _refused("The template has no unsubscribe link.")
        content = message.definition.get("content") or {}
        missing = [each for each in ("subject", "from_email") if not content.get(each)]
        if missing:
            raise _refused(f"The message lacks {', '.join(missing)}.")
    strategy = campaign.strategy
    if strategy["method"] == "immediate":
        return None
    text = strategy.get("datetime") or f"{strategy['date']}T23:59:59Z"
    if moment(text) <= call.now:
        raise _refused("The time to send is in the past.")
    return moment(text)


def _begin(account: Account, campaign: Campaign, run: int, seconds: float, due: float) -> None:
    if campaign.run != run or account.campaigns.get(campaign.id) is not campaign:
        return
    campaign.status, campaign.job = SENDING, PROCESSING
    account.schedule.at(due + seconds, partial(_finish, account, campaign, run))


def _finish(account: Account, campaign: Campaign, run: int, due: float) -> None:
    if campaign.run != run:
        return
    campaign.job = COMPLETE
    campaign.recipients = [each.id for each in audience(account, campaign)]
    campaign.sent, campaign.updated = due, due
    campaign.status = SENT if campaign.recipients else NO_RECIPIENTS


def _refused(detail: str) -> Refused:
    return invalid(detail, "/data/id")


def _job(call: Call, status: int, kind: str, identifier: str, attributes: Any) -> Answer:
    return single(call, status, resource(call, kind, identifier, attributes))


HANDLERS: Mapping[str, Handler] = {
    "refresh_campaign_recipient_estimation": refresh_estimation,
    "get_campaign_recipient_estimation_job": get_estimation_job,
    "get_campaign_recipient_estimation": get_estimation,
    "send_campaign": send_campaign,
    "get_campaign_send_job": get_send_job,
    "cancel_campaign_send": cancel_campaign_send,
}

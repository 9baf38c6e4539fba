"""The bodies that we send, held against the models of Klaviyo's own client."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from destination.action import Action
from destination.klaviyo import KLAVIYO
from tests.unit.klaviyo.full_payloads import PAYLOADS, Recorder
from tests.unit.klaviyo.klaviyo_script import NOW, account

MODELS = {
    "create_profile": "ProfileCreateQuery",
    "update_profile": "ProfilePartialUpdateQuery",
    "create_or_update_profile": "ProfileUpsertQuery",
    "bulk_import_profiles": "ProfileImportJobCreateQuery",
    "merge_profiles": "ProfileMergeQuery",
    "create_event": "EventCreateQueryV2",
    "create_list": "ListCreateQuery",
    "add_profiles_to_list": "ListMembersAddQuery",
    "remove_profiles_from_list": "ListMembersDeleteQuery",
    "bulk_subscribe_profiles": "SubscriptionCreateJobCreateQuery",
    "bulk_unsubscribe_profiles": "SubscriptionDeleteJobCreateQuery",
    "bulk_suppress_profiles": "SuppressionCreateJobCreateQuery",
    "bulk_unsuppress_profiles": "SuppressionDeleteJobCreateQuery",
    "request_profile_deletion": "DataPrivacyCreateDeletionJobQuery",
}


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("action", KLAVIYO.actions.values(), ids=lambda action: action.name)
def test_the_official_client_would_take_every_body(action: Action, bulk: bool) -> None:
    """Each action with every field it has, alone and in bulk."""
    send = Recorder()
    payload = action.prepare(PAYLOADS[action.name], NOW)
    if not bulk:
        action.perform(payload, account(send))
    elif action.batch:
        action.batch.perform([payload], account(send))
    for request in send.requests:
        name = MODELS.get(request.operation)
        if name:
            models: Any = importlib.import_module("openapi_client")
            getattr(models, name).model_validate(request.json)

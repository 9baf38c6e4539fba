"""What can be done at Klaviyo: one action in each file, all listed here."""

from destination.action import Action
from destination.klaviyo.actions import (
    add_profile_to_list,
    order_completed,
    remove_profile_from_list,
    subscribe_profile,
    track_event,
    unsubscribe_profile,
    upsert_profile,
)

ACTIONS: tuple[Action, ...] = (
    upsert_profile.ACTION,
    track_event.ACTION,
    order_completed.ACTION,
    add_profile_to_list.ACTION,
    remove_profile_from_list.ACTION,
    remove_profile_from_list.REMOVE_PROFILE,
    subscribe_profile.ACTION,
    unsubscribe_profile.ACTION,
)

"""What can be done at Klaviyo: one action in each file, all listed here."""

from destination.action import Action
from destination.klaviyo.actions import (
    add_profile_to_list,
    delete_profile,
    merge_profiles,
    order_completed,
    remove_profile_from_list,
    subscribe_profile,
    suppress_profile,
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
    suppress_profile.SUPPRESS,
    suppress_profile.UNSUPPRESS,
    delete_profile.ACTION,
    merge_profiles.ACTION,
)

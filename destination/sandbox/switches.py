"""What is not known about Klaviyo, or is a matter of the test: named switches, never hidden choices.

README.md of this folder says for each what is known.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_type_hints


@dataclass(slots=True)
class Switches:
    """Each may be set through ``POST /sandbox/switches``; units stand in the names."""

    # The test bench
    scripts: bool = False
    link_base: str = "https://a.klaviyo.com"
    limits: Literal["on", "off"] = "on"
    limit_scale: float = 1.0
    keep_requests: int = 100_000
    keep_body_bytes: int = 128_000_000
    # Rate limits
    limit_windows: Literal["clock", "first_request"] = "clock"
    limit_counts_refused: bool = False
    # Sizes
    request_bytes: int = 5_000_000
    profile_bytes: int = 100_000
    # Requests
    accept_any_key: bool = True
    accept_gzip: bool = True
    require_revision: bool = True
    refuse_unknown_parameters: bool = True
    filter_values: int = 0
    # Profiles
    import_unknown_id: Literal[404, 400] = 404
    patch_other_id: Literal[400, 409] = 409
    partial_failure: bool = True
    partial_failure_import: bool = False
    partial_failure_bulk: bool = False
    merge_seconds: float = 0.5
    # Jobs
    job_queued_seconds: float = 0.2
    job_row_seconds: float = 0.00002
    job_chunk_rows: int = 2000
    jobs_stuck: bool = False
    job_days: float = 7.0
    # Events
    event_seconds: float = 0.2
    duplicate_events: Literal["refuse", "drop"] = "refuse"
    drop_test_domains: bool = False
    event_nulls_clear: bool = False
    # Consent
    account_opt_in: Literal["double_opt_in", "single_opt_in"] = "double_opt_in"
    sms_set_up: bool = True
    sms_prefixes: str = ""
    age_gated: bool = False
    confirm_again: bool = False
    unsubscribe_unknown: Literal["ignore", "create"] = "ignore"
    unsubscribe_member: Literal["list", "global"] = "list"
    suppress_unknown: Literal["create", "ignore"] = "create"
    consent_seconds: float = 0.2
    privacy_seconds: float = 0.5
    # Campaigns
    edit_drafts_only: bool = True
    send_seconds: float = 1.0

    def state(self) -> dict[str, Any]:
        """All switches by name."""
        return asdict(self)

    def update(self, values: dict[str, Any]) -> None:
        """Set switches by name; raises ``ValueError`` for an unknown name or a wrong type."""
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        for name, value in values.items():
            if name not in kinds:
                known = ", ".join(sorted(kinds))
                raise ValueError(f"no switch is named {name[:60]!r}; there are: {known}")
            choices = get_args(get_type_hints(Switches)[name])
            if choices and value not in choices:
                raise ValueError(f"switch {name} is one of {choices}, not {value!r}")
            allowed = (int, float) if kinds[name] is float else kinds[name]
            if not isinstance(value, allowed) or (kinds[name] is int and value is True):
                raise ValueError(f"switch {name} takes {kinds[name].__name__}, not {value!r}")
        for name, value in values.items():
            setattr(self, name, value)

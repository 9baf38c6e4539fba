"""The settings as records: each one's name, type, default and meaning, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field

from destination.settings.kinds import (
    BaseUrl,
    Folder,
    Hours,
    Lower,
    Name,
    Rate,
    RedisUrl,
    Revision,
    Seconds,
    Secret,
    Secrets,
    SignatureScheme,
    WebAddress,
    Words,
)

BROWSER_ACTIONS = ("upsertProfile", "trackEvent", "orderCompleted")
"""What a public key may cause: none of it signs a stranger up, off or away."""


class Connection(BaseModel):
    """One Klaviyo account with the mappings that feed it. Without a key: the sandbox."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description="Name of the connection.")
    klaviyo_api_key: Secret | None = Field(default=None, description="Private key of the account.")
    klaviyo_api_url: BaseUrl = Field(description="Base address of the account's API.")
    klaviyo_revision: Revision = Field(description="API revision header.")
    mappings: Folder = Field(description="Folder or file of mappings.")


class Source(BaseModel):
    """Who may post events, and into which connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description="Name of the source.")
    write_keys: Secrets = Field(default=(), description="Keys that senders authorise with.")
    connection: Name = Field(default="default", description="Connection that gets the events.")
    kind: Literal["server", "browser"] = Field(
        default="server", description="`browser`: the key is public, so less is allowed with it."
    )
    actions: Words | None = Field(
        default=None,
        description="The only actions that its events may cause. Without it: all for `server`;"
        f" {', '.join(BROWSER_ACTIONS)} for `browser`.",
    )
    signing_secrets: Secrets = Field(default=(), description="Shared secrets of signed webhooks.")
    require_full_signature: bool = Field(
        default=False,
        description="Take only webhooks whose signature covers every event; a write key is no"
        " substitute.",
    )
    signature_tolerance: Seconds = Field(
        default=300, description="Seconds that a signed time may differ from this server's clock."
    )
    signature: SignatureScheme | None = Field(
        default=None, description="How its webhooks are signed, where it is not the format's way."
    )
    credential_header: Annotated[str, Lower] = Field(
        default="authorization",
        description="Header with the shared secret, of webhooks that are not signed.",
    )
    audience_extras: Words = Field(
        default=(), description="Members that Segment's Webhook Audiences add to each event."
    )
    audience_list: str = Field(
        default="",
        description="Id of the list of all Segment's Webhook Audiences; without it each has its own.",
    )
    rate: Rate | None = Field(
        default=None,
        description="Events a second that it may post to one server; DESTINATION_SOURCE_RATE"
        " without it.",
    )
    integrations_names: Words = Field(
        default=("Klaviyo", "Klaviyo (Actions)", "KLAVIYO"),
        description="Names that mean this destination in an event's `integrations`.",
    )

    @property
    def allowed_actions(self) -> frozenset[str] | None:
        """The actions that an event of this source may cause; None for all."""
        if self.actions is not None:
            return frozenset(self.actions)
        return frozenset(BROWSER_ACTIONS) if self.kind == "browser" else None


class Settings(BaseModel):
    """Everything that an operator can set. ``load_settings`` makes one; it never changes.

    ``connections`` and ``sources`` are complete: what a table in the file leaves out has been
    filled in. ``origins`` tells where each attribute that is not a default was set, ``warnings``
    what looks like a mistake and is allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    redis_url: RedisUrl | None = Field(
        default=None,
        repr=False,  # it may hold a password
        description="Redis or Valkey >= 6.2; without it an embedded one is started.",
    )
    klaviyo_api_key: Secret | None = Field(
        default=None, description="Private key of the Klaviyo account; without it the sandbox."
    )
    klaviyo_api_url: BaseUrl = Field(
        default="https://a.klaviyo.com", description="Base address; requests go to {base}/api/..."
    )
    sandbox_url: BaseUrl | None = Field(
        default=None,
        description="Address of the sandbox that stands in for Klaviyo where no key is set.",
    )
    klaviyo_revision: Revision = Field(
        default="2026-07-15", description="API revision header, a date such as 2026-07-15."
    )
    write_key: Secrets = Field(
        default=(),
        description="Key of the default source, several by commas; `dev` under up and demo on"
        " loopback.",
    )
    signing_secret: Secrets = Field(
        default=(), description="Shared secret of signed webhooks, several by commas."
    )
    admin_token: Secret | None = Field(
        default=None, description="Opens console and admin routes; without it only from loopback."
    )
    mappings: Folder = Field(default=Path("mappings"), description="Folder or file of mappings.")
    data_dir: Folder = Field(
        default=Path(".destination"), description="Folder of the embedded Redis and other state."
    )
    accept_volatile: bool = Field(
        default=False,
        description="Work with a Redis without AOF, which forgets accepted events when it dies.",
    )
    body_limit: ByteSize = Field(
        default=ByteSize(4 * 1024 * 1024),
        gt=0,
        description="Largest request body after inflating, in bytes or such as 4MiB.",
    )
    limits: Annotated[Literal["default", "segment"], Lower] = Field(
        default="default",
        description="`segment`: 32 KB an event, 500 KB and 2,500 events a request, as at Segment.",
    )
    retry_hours: Hours = Field(
        default=4, description="Hours for which a delivery is tried again before it is dead."
    )
    retry_attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=9, description="Attempts that a delivery gets at least before it is dead."
    )
    missing_list_hours: Annotated[float, Field(ge=0, le=24 * 30, allow_inf_nan=False)] = Field(
        default=4,
        description="Hours for which deliveries wait for a list that is not there, tried every half"
        " hour, before they are dead; 0: at once. Spends no attempts.",
    )
    memory_watermark: Annotated[float, Field(gt=0, le=0.95)] = Field(
        default=0.8, description="Share of Redis' maxmemory above which nothing more is accepted."
    )
    dedupe_hours: Hours = Field(
        default=24, description="Hours for which a messageId seen again is a duplicate."
    )
    record_events: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=0,
        description="Events that are kept for a week for `destination check --against recent`, per"
        " connection; 0 keeps none. They hold personal data.",
    )
    request_timeout: Annotated[Seconds, Field(le=600)] = Field(
        default=30, description="Seconds for one request to Klaviyo, from first byte to last."
    )
    lease: Annotated[Seconds, Field(ge=5)] = Field(
        default=20,
        description="Seconds after which a silent worker's lane goes to another one. A worker"
        " renews its lease while it works, so this is not bound to the length of a request.",
    )
    erase_on_delete: bool = Field(
        default=False,
        description="A `delete` event of a server's source also erases here what stands about its"
        " person.",
    )
    source_rate: Rate | None = Field(
        default=None,
        description="Events a second that a source may post to one server; more hear 429. Without"
        " it any number.",
    )
    lane_limit: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Deliveries that may wait in one lane; who would add to a longer one hears 503."
        " Without it only Redis' memory is a bound, for all together.",
    )
    alert_url: WebAddress | None = Field(
        default=None,
        description="Where alerts are posted: a webhook of Slack or of anything else. Without it"
        " they are only logged.",
    )
    alert_secret: Secret | None = Field(
        default=None, description="Signs alerts as Standard Webhooks say; whsec_ and base64."
    )
    alert_form: Annotated[Literal["standard", "slack"], Lower] | None = Field(
        default=None,
        description="`standard`: Standard Webhooks; `slack`: Slack and what takes its form. Without"
        " it the address tells.",
    )
    alert_failure_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.1, description="Share of deliveries that die within 5 minutes that is an alert."
    )
    alert_pending_age: Seconds = Field(
        default=900, description="Seconds that the oldest delivery may be pending before an alert."
    )
    alert_dead_letters: Annotated[int, Field(ge=1)] = Field(
        default=100, description="New dead letters within an hour that are an alert."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Lower] = Field(
        default="info", description="Least severity that is logged."
    )
    log_format: Annotated[Literal["json", "console"], Lower] = Field(
        default="json", description="`json`: a line for programs; `console`: a line for people."
    )
    connections: dict[str, Connection] = Field(
        default_factory=dict, description="Klaviyo accounts by name."
    )
    sources: dict[str, Source] = Field(default_factory=dict, description="Who may post, by name.")
    origins: dict[str, str] = Field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    def rates(self) -> dict[str, float]:
        """Events a second of each source that has a bound."""
        found = {name: source.rate or self.source_rate for name, source in self.sources.items()}
        return {name: rate for name, rate in found.items() if rate}


FLAT = tuple(
    name
    for name in Settings.model_fields
    if name not in ("connections", "sources", "origins", "warnings")
)


def setting_name(attribute: str) -> str:
    """The environment's name of an attribute: ``write_key`` is ``DESTINATION_WRITE_KEY``."""
    prefix = "" if attribute.startswith(("redis_", "klaviyo_")) else "DESTINATION_"
    return prefix + attribute.upper()

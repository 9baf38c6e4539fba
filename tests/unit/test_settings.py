"""Settings: where they come from, what is refused and what a person gets to see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from destination.errors import SettingsError
from destination.ingress.format import Scheme
from destination.settings import (
    DEVELOPMENT,
    Settings,
    check_write_keys,
    describe,
    is_loopback,
    load_settings,
    setting_name,
)

KEY = "pk_0123456789abcdef0123456789abcdef01"


def load(folder: Path, environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    return load_settings(folder=folder, environ=environ or {}, **overrides)


def shown(secrets: tuple[SecretStr, ...]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]


def test_nothing_set_gives_the_documented_defaults(tmp_path: Path) -> None:
    """An empty folder and environment is a usable installation on the sandbox."""
    settings = load(tmp_path)
    assert settings.redis_url is None
    assert settings.klaviyo_api_key is None
    assert settings.klaviyo_api_url == "https://a.klaviyo.com"
    assert settings.klaviyo_revision == "2026-07-15"
    assert settings.mappings == Path("mappings")
    assert settings.data_dir == Path(".destination")
    assert settings.body_limit == 4 * 1024 * 1024
    assert (settings.retry_hours, settings.retry_attempts) == (4, 9)
    assert settings.lease == 20
    assert settings.warnings == ()
    assert list(settings.connections) == ["default"]
    assert list(settings.sources) == ["default"]


def test_sources_are_read_in_order(tmp_path: Path) -> None:
    """Arguments win over the environment, that over .env, that over the file, that over defaults."""
    (tmp_path / "destination.toml").write_text(
        "retry_hours = 1\nretry_attempts = 11\ndedupe_hours = 11\nlog_level = 'error'\n"
    )
    (tmp_path / ".env").write_text(
        "DESTINATION_RETRY_HOURS=2\nDESTINATION_RETRY_ATTEMPTS=12\nDESTINATION_DEDUPE_HOURS=12\n"
    )
    environ = {"DESTINATION_RETRY_HOURS": "3", "DESTINATION_RETRY_ATTEMPTS": "13"}
    settings = load(tmp_path, environ, retry_hours=5, defaults={"log_level": "debug", "lease": 99})
    assert settings.retry_hours == 5
    assert settings.retry_attempts == 13
    assert settings.dedupe_hours == 12
    assert settings.log_level == "error"
    assert settings.lease == 99
    assert settings.origins == {
        "retry_hours": "argument",
        "retry_attempts": "environment",
        "dedupe_hours": ".env",
        "log_level": "destination.toml",
        "lease": "default",
    }


def test_an_empty_variable_and_a_none_argument_are_not_set(tmp_path: Path) -> None:
    """Compose files pass `KLAVIYO_API_KEY=` along, command lines pass options nobody gave."""
    settings = load(tmp_path, {"KLAVIYO_API_KEY": "", "DESTINATION_LEASE": "50"}, lease=None)
    assert settings.klaviyo_api_key is None
    assert settings.lease == 50


def test_the_environment_makes_one_connection_and_one_source(tmp_path: Path) -> None:
    """Keys by commas all belong to the source `default`."""
    environ = {
        "KLAVIYO_API_KEY": f" {KEY}\n",
        "DESTINATION_WRITE_KEY": "first, second,",
        "DESTINATION_SIGNING_SECRET": "s3cret",
        "DESTINATION_MAPPINGS": "here",
    }
    settings = load(tmp_path, environ)
    connection, source = settings.connections["default"], settings.sources["default"]
    assert connection.klaviyo_api_key is not None
    assert connection.klaviyo_api_key.get_secret_value() == KEY
    assert connection.mappings == Path("here")
    assert shown(source.write_keys) == ["first", "second"]
    assert shown(source.signing_secrets) == ["s3cret"]
    assert source.connection == "default"


def test_the_development_key_yields_to_everything(tmp_path: Path) -> None:
    """`dev` is the key only where no other key and no source was written."""
    assert shown(load(tmp_path, defaults=DEVELOPMENT).sources["default"].write_keys) == ["dev"]
    named = load(tmp_path, {"DESTINATION_WRITE_KEY": "mine"}, defaults=DEVELOPMENT)
    assert shown(named.sources["default"].write_keys) == ["mine"]
    (tmp_path / "destination.toml").write_text("[sources.web]\nwrite_keys = ['w']\n")
    assert list(load(tmp_path, defaults=DEVELOPMENT).sources) == ["web"]


def test_the_file_holds_several_connections_and_sources(tmp_path: Path) -> None:
    """What a table leaves out comes from the single settings; secrets may come by reference."""
    (tmp_path / "destination.toml").write_text(
        """
        mappings = "common"
        [connections.shop]
        klaviyo_api_key = "${SHOP_KEY}"
        [connections.club]
        klaviyo_api_key = "pk_club"
        klaviyo_revision = "2026-04-15"
        mappings = "club"
        [sources.web]
        write_keys = ["w1", "w2"]
        connection = "shop"
        kind = "browser"
        [sources.crm]
        signing_secrets = "s1,s2"
        connection = "club"
        integrations_names = ["Our Klaviyo"]
        """
    )
    settings = load(tmp_path, {"SHOP_KEY": KEY})
    shop, club = settings.connections["shop"], settings.connections["club"]
    assert shop.klaviyo_api_key == SecretStr(KEY)
    assert (shop.mappings, shop.klaviyo_revision) == (Path("common"), "2026-07-15")
    assert (club.mappings, club.klaviyo_revision) == (Path("club"), "2026-04-15")
    web, crm = settings.sources["web"], settings.sources["crm"]
    assert (shown(web.write_keys), web.connection, web.kind) == (["w1", "w2"], "shop", "browser")
    assert (shown(crm.signing_secrets), crm.kind) == (["s1", "s2"], "server")
    assert crm.integrations_names == ("Our Klaviyo",)
    assert list(settings.connections) == ["shop", "club"]
    assert list(settings.sources) == ["web", "crm"]


def test_a_public_key_may_cause_less(tmp_path: Path) -> None:
    """A browser's source signs nobody up or off; an own list of actions overrules either kind."""
    (tmp_path / "destination.toml").write_text(
        """
        [sources.crm]
        write_keys = "c"
        [sources.web]
        write_keys = "w"
        kind = "browser"
        [sources.form]
        write_keys = "f"
        kind = "browser"
        actions = "subscribeProfile, upsertProfile"
        [sources.till]
        write_keys = "t"
        actions = ["orderCompleted"]
        """
    )
    sources = load(tmp_path).sources
    assert {name: source.allowed_actions for name, source in sources.items()} == {
        "crm": None,
        "web": {"upsertProfile", "trackEvent", "orderCompleted"},
        "form": {"subscribeProfile", "upsertProfile"},
        "till": {"orderCompleted"},
    }


def test_a_source_says_how_its_webhooks_are_signed(tmp_path: Path) -> None:
    """Every part of the verifier can be set; names of headers are read in any case."""
    (tmp_path / "destination.toml").write_text(
        """
        [sources.stripe]
        signing_secrets = "s"
        require_full_signature = true
        signature_tolerance = 60
        credential_header = "X-Secret"
        [sources.stripe.signature]
        header = "Stripe-Signature"
        prefix = "v1="
        separator = ","
        payload = "{timestamp}.{body}"
        timestamp_prefix = "t="
        """
    )
    source = load(tmp_path).sources["stripe"]
    assert source.signature == Scheme(
        header="stripe-signature",
        prefix="v1=",
        separator=",",
        payload="{timestamp}.{body}",
        timestamp_prefix="t=",
    )
    assert (source.require_full_signature, source.signature_tolerance) == (True, 60)
    assert source.credential_header == "x-secret"


def test_a_source_feeds_the_only_connection_without_naming_it(tmp_path: Path) -> None:
    """With one connection there is nothing to choose."""
    (tmp_path / "destination.toml").write_text(
        "[connections.shop]\n[sources.web]\nwrite_keys = ['w']\n"
    )
    assert load(tmp_path).sources["web"].connection == "shop"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("retry_hour = 3", ["destination.toml", "'retry_hour'", "'retry_hours'"]),
        ("DESTINATION_WRITE_KEY = 'k'", ["'DESTINATION_WRITE_KEY'", "'write_key'"]),
        ("origins = 1", ["'origins'", "retry_hours"]),
        ("[sources.web]\nwrite_key = ['k']", ["[sources.web]", "'write_key'", "'write_keys'"]),
        ("[connections.shop]\napi = 1", ["[connections.shop]", "'api'", "klaviyo_api_key"]),
        (
            "[connections.shop]\nklaviyo_revision = '1'",
            ["connections.shop.klaviyo_revision", "'1'"],
        ),
        ("[connections.'a b']", ["connections.a b.name", "'a b'", "letters"]),
        ("connections = 3", ["[connections.NAME]"]),
        ("retry_hours = = 1", ["destination.toml", "line 1"]),
        ("admin_token = '${NOWHERE}'", ["admin_token", "${NOWHERE}", "Set it"]),
        (
            "klaviyo_api_key = 'a'\n[connections.default]\nklaviyo_api_key = 'b'",
            ["KLAVIYO_API_KEY"],
        ),
        ("write_key = 'a'\n[sources.default]\nwrite_keys = ['b']", ["DESTINATION_WRITE_KEY"]),
        ("[connections.a]\n[connections.b]\n[sources.web]\nwrite_keys = ['w']", ["'web'", "a, b"]),
        ("[sources.a]\nrequire_full_signature=true", ["'a'", "signing_secrets"]),
        ("[sources.a]\nsignature = {header='x', secret='s'}", ["'secret'", "algorithm"]),
        ("[sources.a]\nsignature = {header='x', algorithm='md5'}", ["sources.a.signature", "md5"]),
        ("[sources.a]\nwrite_keys=['k']\n[sources.b]\nwrite_keys=['k']", ["'a'", "'b'", "own"]),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    """The message names the file or table, the name seen and what to write instead."""
    (tmp_path / "destination.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("KLAVIYO_REVISION", "latest", ["'latest'", "2026-07-15"]),
        ("KLAVIYO_API_URL", "https://a.klaviyo.com/api/", ["without it"]),
        ("KLAVIYO_API_URL", "a.klaviyo.com", ["https://a.klaviyo.com"]),
        ("KLAVIYO_API_URL", "http://x:port", ["'http://x:port'"]),
        ("REDIS_URL", "localhost:6379", ["redis://host:6379/0"]),
        ("DESTINATION_RETRY_HOURS", "nan", ["'nan'"]),
        ("DESTINATION_RETRY_ATTEMPTS", "many", ["'many'", "Attempts"]),
        ("DESTINATION_MEMORY_WATERMARK", "80", ["'80'", "0.95"]),
        ("DESTINATION_BODY_LIMIT", "big", ["'big'", "4MiB"]),
        ("DESTINATION_LOG_LEVEL", "loud", ["'loud'", "'warning'"]),
        ("DESTINATION_LEASE", "4", ["DESTINATION_LEASE", "greater than or equal to 5"]),
    ],
)
def test_an_unusable_value_is_refused(
    tmp_path: Path, name: str, value: str, words: list[str]
) -> None:
    """The message has the setting, where it was set, the value seen and what to do."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, {name: value})
    message = str(caught.value)
    assert [word for word in [name, *words] if word not in message] == []
    assert len(message.splitlines()) == 1


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """One line for each, and nothing that only follows from another."""
    environ = {"DESTINATION_RETRY_HOURS": "x", "DESTINATION_REQUEST_TIMEOUT": "y"}
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, environ)
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == list(environ)


def test_an_unknown_argument_is_refused(tmp_path: Path) -> None:
    """A caller's typing mistake does not pass in silence."""
    with pytest.raises(SettingsError, match="'data_dir'"):
        load(tmp_path, datadir="x")


@pytest.mark.parametrize(
    ("environ", "secret"),
    [
        ({"KLAVIYO_API_KEY": "pk_with space"}, "with space"),
        ({"DESTINATION_WRITE_KEY": "schlüssel"}, "schl"),
        ({"REDIS_URL": "http://user:hunter2@host"}, "hunter2"),
        ({"KLAVIYO_REVISION": KEY}, "0123456789"),
    ],
)
def test_a_refusal_never_shows_a_secret(
    tmp_path: Path, environ: dict[str, str], secret: str
) -> None:
    """Not even one that stands in the wrong place."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, environ)
    assert "****" in str(caught.value)
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"DESTINATION_WRITEKEY": "k"}, "DESTINATION_WRITE_KEY"),
        ({"KLAVIYO_API_KEY": KEY, "KLAVIYO_API_URL": "http://klaviyo.example"}, "unencrypted"),
        ({"KLAVIYO_API_KEY": "AbC123"}, "public key"),
        ({"DESTINATION_ADMIN_TOKEN": "short"}, "16 characters"),
        ({"DESTINATION_LIMITS": "Segment", "DESTINATION_BODY_LIMIT": "1MiB"}, "no effect"),
    ],
)
def test_what_looks_like_a_mistake_is_warned_about(
    tmp_path: Path, environ: dict[str, str], word: str
) -> None:
    """It is allowed, in one sentence with the remedy."""
    (warning,) = load(tmp_path, environ).warnings
    assert word in warning


def test_variables_of_whoever_runs_us_are_left_alone(tmp_path: Path) -> None:
    """Kubernetes sets these for a service named `destination`; the sandbox's key may go by http."""
    environ = {
        "DESTINATION_PORT": "tcp://10.0.0.1:8080",
        "DESTINATION_SERVICE_HOST": "10.0.0.1",
        "KLAVIYO_API_KEY": KEY,
        "KLAVIYO_API_URL": "http://127.0.0.1:8090/",
    }
    assert load(tmp_path, environ).warnings == ()


def test_a_connection_nobody_feeds_is_warned_about(tmp_path: Path) -> None:
    """A forgotten source shows at the start and not when events are missed."""
    (tmp_path / "destination.toml").write_text(
        "[connections.a]\n[connections.b]\n[sources.web]\nwrite_keys = ['w']\nconnection = 'a'\n"
    )
    (warning,) = load(tmp_path).warnings
    assert "'b'" in warning


def test_a_server_needs_a_key_for_every_source(tmp_path: Path) -> None:
    """A write key or a signing secret; else the message tells how to make one."""
    with pytest.raises(SettingsError, match="DESTINATION_WRITE_KEY"):
        check_write_keys(load(tmp_path))
    for environ in ({"DESTINATION_WRITE_KEY": "k"}, {"DESTINATION_SIGNING_SECRET": "s"}):
        settings = load(tmp_path, environ)
        check_write_keys(settings)
        assert list(settings.sources) == ["default"]


def test_no_secret_is_printed(tmp_path: Path) -> None:
    """Neither the table for people nor the representation for programmers holds one."""
    secrets = ["sekret-key-1", "sekret-key-2", "sekret-key-3", "sekret-key-4", "sekret-key-5"]
    environ = {
        "KLAVIYO_API_KEY": secrets[0],
        "DESTINATION_WRITE_KEY": secrets[1],
        "DESTINATION_SIGNING_SECRET": secrets[2],
        "DESTINATION_ADMIN_TOKEN": secrets[3],
        "REDIS_URL": f"redis://user:{secrets[4]}@host/0?password={secrets[4]}",
    }
    settings = load(tmp_path, environ)
    text = repr(settings) + repr(describe(settings))
    assert [secret for secret in secrets if secret in text] == []
    rows = {row.name: row for row in describe(settings)}
    assert rows["REDIS_URL"].value == "redis://user:****@host/0?password=****"
    assert rows["DESTINATION_WRITE_KEY"].value == "****"
    assert rows["DESTINATION_WRITE_KEY"].origin == "environment"


def test_every_setting_is_described(tmp_path: Path) -> None:
    """The table has each setting of each record, with a meaning that is a sentence."""
    rows = describe(load(tmp_path, {"KLAVIYO_API_KEY": KEY}))
    names = {row.name for row in rows}
    assert {"REDIS_URL", "DESTINATION_LEASE", "connections.default.mappings"} <= names
    assert {"sources.default.kind", "sources.default.integrations_names"} <= names
    assert [row.name for row in rows if not row.meaning.endswith((".", "..."))] == []
    key = next(row for row in rows if row.name == "KLAVIYO_API_KEY")
    assert key.value == "****ef01"


def test_names_in_the_environment() -> None:
    """Our own settings carry our name, Redis' and Klaviyo's theirs."""
    assert setting_name("write_key") == "DESTINATION_WRITE_KEY"
    assert setting_name("klaviyo_api_key") == "KLAVIYO_API_KEY"
    assert setting_name("redis_url") == "REDIS_URL"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("127.0.0.1", "::1", "[::1]", "localhost", "127.8.8.8")),
        *((host, False) for host in ("0.0.0.0", "::", "10.1.2.3", "example.com", "")),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    """Only addresses that no other machine can reach count."""
    assert is_loopback(host) is expected


def test_the_example_file_names_every_setting(tmp_path: Path) -> None:
    """`.env.example` holds each setting once, commented out, and loads when uncommented."""
    example = (Path(__file__).parents[2] / ".env.example").read_text()
    named = [
        line.removeprefix("#").partition("=")[0]
        for line in example.splitlines()
        if "=" in line and not line.startswith("# ")
    ]
    assert named == [row.name for row in describe(load(tmp_path)) if "." not in row.name]
    (tmp_path / ".env").write_text(
        "\n".join(
            line.removeprefix("#") if not line.startswith("# ") else line
            for line in example.splitlines()
        )
    )
    assert load(tmp_path).warnings == ()

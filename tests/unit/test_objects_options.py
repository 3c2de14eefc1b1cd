"""Options of object stores: what is taken, what is refused and how, and where keys come from."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import paperfleet
from paperfleet.errors import ConfigurationError
from paperfleet.model import NINE_METHODS
from paperfleet.secret import Secret
from paperfleet.storage.addresses import meaning_of
from paperfleet.storage.bucket.backends import (
    AzureBackend,
    GoogleCloudBackend,
    S3CompatibleBackend,
)
from paperfleet.storage.bucket.options import client_options, s3_config
from paperfleet.storage.full import full
from paperfleet.storage.registry import open_storage

if TYPE_CHECKING:
    from pathlib import Path

DOTTED = "paperfleet.S3CompatibleBackend"
GIVEN = {"bucket_name": "docs", "access_key": "key-id", "secret_key": "s3cret"}


@pytest.fixture(autouse=True)
def _no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name in ("ACCESS_KEY_ID", "PROFILE", "ENDPOINT_URL", "ENDPOINT_URL_S3", "ENDPOINT"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)


def config_of(storage: object) -> dict[str, Any]:
    assert isinstance(storage, S3CompatibleBackend)
    store = storage._client.store
    return dict(store.config)  # type: ignore[union-attr]  # an S3 store


def test_the_names_of_the_design_lead_to_the_backends() -> None:
    assert isinstance(open_storage(DOTTED, GIVEN), S3CompatibleBackend)
    assert paperfleet.LocalFilesystemBackend.__name__ == "LocalBackend"
    with pytest.raises(AttributeError, match="Nonsense"):
        paperfleet.Nonsense  # noqa: B018 (the access is the test)


@pytest.mark.parametrize(
    ("wrong", "right"), [("bucket", "bucket_name"), ("region", "region_name"), ("veryfy", "verify")]
)
def test_an_unknown_option_is_refused_by_name(wrong: str, right: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{wrong}.*{right}"):
        open_storage(DOTTED, {**GIVEN, wrong: "x"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bucket_name": ""}, "bucket_name"),
        ({"bucket_name": "a/b"}, "location"),
        ({"secret_key": None}, "secret_key is missing"),
        ({"access_key": None}, "access_key is missing"),
        ({"endpoint_url": "store.example"}, "https://"),
        ({"endpoint_url": "ftp://store.example"}, "https://"),
        ({"endpoint_url": "https://store.example/docs"}, "bucket_name"),
        ({"endpoint_url": "https://ann:pw@store.example"}, "settings of their own"),
        ({"endpoint_url": "https://store.example:port"}, "not a URL"),
        ({"endpoint_url": "http://store.example"}, "allow_plain_http"),
        ({"addressing_style": "sideways"}, "auto, path or virtual"),
        ({"verify": "/no/such/file"}, "/no/such/file"),
        ({"location": "a/../b"}, "location"),
        ({"location": "a//b"}, "location"),
        ({"location": "x" * 1000}, "too long"),
        ({"location": "a", "prefix": "b"}, "two words"),
        ({"timeout": "0"}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"retries": "-1"}, "retries"),
        ({"part_size": "1000"}, "5 MiB"),
        ({"session_profile": "x"}, "either"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_storage(DOTTED, {**GIVEN, **options})
    assert words in str(caught.value)
    for secret in ("s3cret", "ann:pw"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost/"])
def test_plain_http_to_this_machine(url: str) -> None:
    storage = open_storage(DOTTED, {**GIVEN, "endpoint_url": url})
    assert url.rstrip("/").partition("://")[2] in full(storage).label


def test_plain_http_elsewhere_when_it_is_allowed() -> None:
    url = {"endpoint_url": "http://store.example", "allow_plain_http": "true"}
    assert config_of(open_storage(DOTTED, {**GIVEN, **url}))["endpoint"] == "http://store.example"


def test_an_address() -> None:
    meant = meaning_of("s3://docs/2024/a%20b?endpoint_url=http://127.0.0.1:9000&region_name=eu")
    assert meant.options == {
        "bucket_name": "docs",
        "location": "2024/a b",
        "endpoint_url": "http://127.0.0.1:9000",
        "region_name": "eu",
    }
    assert meaning_of("gs://docs").options == {"bucket_name": "docs"}
    assert meaning_of("az://docs/x").options == {"bucket_name": "docs", "location": "x"}
    for wrong in ("s3://", "s3:///a", "s3://key:secret@docs", "s3://docs/a?location=b"):
        with pytest.raises(ConfigurationError) as caught:
            meaning_of(wrong)
        assert "secret@" not in str(caught.value)


def test_no_secret_is_shown() -> None:
    storage = open_storage(DOTTED, {**GIVEN, "session_token": "t0ken", "location": "/a/"})
    shown = repr(storage) + full(storage).label
    assert "s3://docs/a" in shown
    assert "s3cret" not in shown
    assert "t0ken" not in shown


def style(**more: Any) -> dict[str, Any]:  # noqa: ANN401 (options of any kind)
    given: dict[str, Any] = {
        "bucket": "docs",
        "endpoint_url": None,
        "region_name": None,
        "addressing_style": "auto",
        "checksum_algorithm": "SHA256",
        "key": None,
    }
    return dict(s3_config(**(given | more)))


def test_addressing() -> None:
    assert style()["virtual_hosted_style_request"] is True
    assert style(bucket="my.docs")["virtual_hosted_style_request"] is False
    minio = style(endpoint_url="https://minio.example:9000")
    assert minio["virtual_hosted_style_request"] is False
    assert minio["endpoint"] == "https://minio.example:9000"
    hosted = style(endpoint_url="https://store.example", addressing_style="virtual")
    assert hosted["endpoint"] == "https://docs.store.example"


def test_quirks() -> None:
    assert "checksum_algorithm" not in style(checksum_algorithm="")
    r2 = style(endpoint_url="https://account.r2.cloudflarestorage.com")
    assert "cf-copy-destination-if-none-match" in r2["copy_if_not_exists"]


@pytest.mark.parametrize("word", [False, "false", "no", "0"])
def test_verification_can_be_switched_off(word: bool | str) -> None:
    given = client_options(verify=word, timeout=5, allow_plain_http=False)
    assert given["allow_invalid_certificates"] is True


@pytest.mark.parametrize("word", [True, "true", "yes"])
def test_verification_is_on(word: bool | str) -> None:
    given = client_options(verify=word, timeout=5, allow_plain_http=False)
    assert "allow_invalid_certificates" not in given
    assert "root_certificate" not in given


def test_certificates_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"PEM")
    given = client_options(verify=str(tmp_path / "ca.pem"), timeout=5, allow_plain_http=False)
    assert given["root_certificate"] == b"PEM"


@pytest.fixture
def profiles(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = default-id\naws_secret_access_key = p%ss\n"
        "[other]\naws_access_key_id=other-id\naws_secret_access_key=x\naws_session_token=t\n"
        "[sso]\nsso_session = corp\n"
    )


@pytest.mark.usefixtures("profiles")
def test_keys_of_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    def key_id(**options: Any) -> object:  # noqa: ANN401 (options of any kind)
        return config_of(S3CompatibleBackend("docs", **options)).get("access_key_id")

    assert key_id() == "default-id"
    assert key_id(session_profile="other") == "other-id"
    assert key_id(access_key="given", secret_key=Secret("x")) == "given"
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert key_id() == "other-id"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert key_id() is None, "obstore takes those of the environment itself"
    for missing in ("nobody", "sso"):
        with pytest.raises(ConfigurationError, match="no access key"):
            key_id(session_profile=missing)


def test_a_broken_file_of_credentials_shows_no_line(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("aws_secret_access_key = s3cret\n")
    with pytest.raises(ConfigurationError) as caught:
        S3CompatibleBackend("docs")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_endpoint_of_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example")
    with pytest.raises(ConfigurationError, match="unencrypted"):
        S3CompatibleBackend("docs")


def test_google_and_azure_are_made_from_their_options() -> None:
    azure = AzureBackend("docs", account_name="ann", access_key=Secret("a2V5"), location="x")
    assert azure.label == "az://docs/x"
    assert azure.capabilities != NINE_METHODS
    assert "sig=" in azure.presigned_url("a.pdf", 60)
    with pytest.raises(ConfigurationError):
        AzureBackend("a/b", account_name="ann", access_key=Secret("a2V5"))
    with pytest.raises(ConfigurationError):
        GoogleCloudBackend("a/b")


OPENED = """
import sys
before = set(sys.modules)  # what measures the tests' coverage has loaded some of them
from paperfleet.storage.registry import open_storage

options = {"endpoint_url": "http://127.0.0.1:9", "access_key": "a", "secret_key": "b"}
open_storage("paperfleet.S3CompatibleBackend", {"bucket_name": "bucket", **options})
print(*sorted({"configparser", "lxml", "pycurl", "redis"} & (sys.modules.keys() - before)))
"""


def test_opening_a_bucket_loads_nothing_that_its_first_requests_do_not_need() -> None:
    command = [sys.executable, "-c", OPENED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []

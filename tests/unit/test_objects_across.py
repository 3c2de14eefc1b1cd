"""Where the copies of one bucket into another are sent."""

from __future__ import annotations

import pytest

from paperfleet.storage.bucket.backends import S3CompatibleBackend


def bucket(name: str, **options: str) -> S3CompatibleBackend:
    return S3CompatibleBackend(name, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"endpoint_url": "https://s3.example"}, "https://s3.example/new"),
        (
            {"endpoint_url": "https://s3.example", "addressing_style": "virtual"},
            "https://new.s3.example",
        ),
        ({"region_name": "eu-north-1"}, "https://new.s3.eu-north-1.amazonaws.com"),
        (
            {"region_name": "eu-north-1", "addressing_style": "path"},
            "https://s3.eu-north-1.amazonaws.com/new",
        ),
    ],
)
def test_copies_are_sent_to_the_bucket_that_gets_them(
    options: dict[str, str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    old, new = bucket("old", **options), bucket("new", **options)
    assert new.can_copy_from(old)
    service = new.crossing.service
    assert service is not None
    assert service.address() == address
    assert service.store_from("old").config["bucket"] == "old"


def test_without_a_region_only_one_bucket_is_copied_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    new = bucket("new")
    assert not new.can_copy_from(bucket("old"))
    assert new.can_copy_from(bucket("new", location="elsewhere"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert new.can_copy_from(bucket("old"))

"""Which variables a backup keeps, and of which the name alone."""

from __future__ import annotations

import pytest

from paperfleet.backup.variables import HIDDEN, without_secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAPERLESS_SECRET_KEY", "s3cret"),
        ("PAPERLESS_DBPASS", "s3cret"),
        ("PAPERLESS_ADMIN_PASSWORD", "s3cret"),
        ("PAPERLESS_EMAIL_HOST_PASSWORD", "s3cret"),
        ("PAPERLESS_REDIS", "redis://:s3cret@broker:6379"),
        ("PAPERLESS_OUTLOOK_OAUTH_CLIENT_SECRET", "s3cret"),
        ("PAPERLESS_SOCIALACCOUNT_PROVIDERS", '{"oidc": {"secret": "s3cret"}}'),
        ("PAPERLESS_DOCUMENT_STORAGE_OPTIONS", '{"secret_key": "s3cret"}'),
        ("PAPERLESS_DOCUMENT_STORAGE_BACKEND", "s3://bucket?secret_key=s3cret"),
        ("PAPERLESS_REMOTE_OCR_API_KEY", "s3cret"),
        ("PAPERFLEET_BACKUP_PASSWORD", "s3cret"),
        ("PAPERFLEET_BACKUP_REPOSITORY", "rest:https://me:s3cret@backup.example/"),
        ("PAPERFLEET_ROLE_LEASE", "postgres://me:s3cret@db/x"),
        ("PAPERLESS_SECRET_KEY_FILE", "s3cret in the wrong variable"),
    ],
)
def test_a_secret_is_there_by_its_name(name: str, value: str) -> None:
    assert without_secrets({name: value}) == {name: HIDDEN}


def test_the_rest_is_kept_and_what_is_of_others_is_left_out() -> None:
    kept = {
        "PAPERLESS_URL": "https://docs.example",
        "PAPERLESS_FILENAME_FORMAT": "{{ created_year }}/{{ title }}",
        "PAPERLESS_DBPASS_FILE": "/run/secrets/database",
        "PAPERFLEET_FLEET": "true",
        "PAPERLESS_SECRET_KEY": "",
    }
    assert without_secrets(kept | {"AWS_SECRET_ACCESS_KEY": "s", "PATH": "/bin"}) == kept

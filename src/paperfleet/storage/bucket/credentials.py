"""Access keys from a profile of the AWS command line, where none is given and none in the way.

Order, as everywhere with S3 (AWS SDKs and tools reference guide, "Standardized credential
providers"): options, environment, profile in the shared credentials file; then what obstore asks
by itself: web identity token, container, instance metadata.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import ConfigurationError
from paperfleet.secret import Secret

if TYPE_CHECKING:
    import configparser


class AccessKey(NamedTuple):
    """An access key id, its secret, and the token of temporary ones."""

    key_id: str
    secret: Secret
    token: Secret | None = None


def profile_key(profile: str | None) -> AccessKey | None:
    """Return the key of a profile of ``~/.aws/credentials``; None when there is nothing to find.

    A profile that is named has to be there: ``ConfigurationError``. One without a key of its own
    (single sign-on, assumed roles) is named as such; let the tool that has it export the key into
    the environment.
    """
    name = profile or os.environ.get("AWS_PROFILE") or "default"
    path = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    section = _section(path, name)
    if section and "aws_access_key_id" in section and "aws_secret_access_key" in section:
        token = section.get("aws_session_token")
        return AccessKey(
            section["aws_access_key_id"],
            Secret(section["aws_secret_access_key"]),
            Secret(token) if token else None,
        )
    if profile:
        raise ConfigurationError(
            f"{path} has no access key in a profile {profile!r}",
            hint="Export the key of single sign-on or a role with `aws configure export-credentials"
            " --format env`",
        )
    return None


def _section(path: Path, name: str) -> configparser.SectionProxy | None:
    import configparser  # noqa: PLC0415  # most have their key in the settings

    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        # Without the cause: its text holds lines of the file.
        raise ConfigurationError(f"{path} cannot be read as a file of credentials") from None
    return parser[name] if parser.has_section(name) else None

"""The options of the backends as what obstore takes. Sends nothing."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from paperfleet.errors import ConfigurationError
from paperfleet.storage.addresses import is_loopback
from paperfleet.storage.bucket.credentials import AccessKey, profile_key

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

    from paperfleet.secret import Secret

AddressingStyle = Literal["auto", "path", "virtual"]
_CONNECT = 10.0
_WHOLE = 900.0
"""Seconds of the longest single request: a server-side copy of 5 GB takes minutes."""
_R2 = ".r2.cloudflarestorage.com"
_NEW_COPY = "header:If-None-Match:*"
"""Amazon S3 API reference, CopyObject."""
_NEW_COPY_R2 = "header:cf-copy-destination-if-none-match:*"
"""Cloudflare R2 documentation, "Extensions"."""
_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_NOT_WORDS = {"false": False, "no": False, "off": False, "0": False}


def client_options(*, verify: bool | str, timeout: float, allow_plain_http: bool) -> ClientConfig:
    """Return how to speak HTTP: ``verify`` is False, True or a file of certificates (PEM).

    ``timeout`` is in seconds without a byte. Raises ``ConfigurationError``.
    """
    if timeout <= 0:
        raise ConfigurationError("the timeout must be more than 0 seconds")
    config: ClientConfig = {
        "allow_http": allow_plain_http,
        "connect_timeout": timedelta(seconds=min(timeout, _CONNECT)),
        "read_timeout": timedelta(seconds=timeout),
        "timeout": timedelta(seconds=max(timeout, _WHOLE)),
        "user_agent": "paperfleet",
    }
    word = (_WORDS | _NOT_WORDS).get(verify.lower(), verify) if isinstance(verify, str) else verify
    if word is False:
        config["allow_invalid_certificates"] = True
    elif isinstance(word, str):
        config["root_certificate"] = _certificates(word)
    return config


def _certificates(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the file of certificates {path} cannot be read: {error.strerror}",
            hint="verify is true, false or the path of a file in PEM",
        ) from error


def retry_config(retries: int) -> RetryConfig:
    """Return how often single requests are sent again, within a minute."""
    if retries < 0:
        raise ConfigurationError("retries cannot be fewer than 0")
    return {
        "max_retries": retries,
        "retry_timeout": timedelta(seconds=60),
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=5),
            "base": 2,
        },
    }


def check_endpoint(url: str, *, allow_plain_http: bool) -> bool:
    """Check the address of a store; return whether it is plain http. ``ConfigurationError``."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigurationError("endpoint_url is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(
            "endpoint_url must begin with https:// and a host name",
            hint="Such as https://s3.eu-central-1.wasabisys.com",
        )
    if parts.username is not None or parts.query or parts.fragment or parts.path.strip("/"):
        raise ConfigurationError(
            "endpoint_url is scheme, host and port alone",
            hint="Keys have settings of their own, and the bucket is named by bucket_name",
        )
    if parts.scheme == "http" and not (allow_plain_http or is_loopback(parts.hostname)):
        raise ConfigurationError(
            f"plain http to {parts.hostname} would send documents unencrypted",
            hint="Use https://, or set allow_plain_http",
        )
    return parts.scheme == "http"


def check_bucket(name: str) -> str:
    """Return the name of a bucket; raise ``ConfigurationError`` for what can be none."""
    if not name or "/" in name or name != name.strip() or not name.isprintable():
        raise ConfigurationError(
            "bucket_name is the name of one bucket, without slashes",
            hint="A folder inside of it is named by location",
        )
    return name


def s3_config(  # one argument for each option of the backend
    *,
    bucket: str,
    endpoint_url: str | None,
    region_name: str | None,
    addressing_style: str,
    checksum_algorithm: str,
    key: AccessKey | None,
) -> S3Config:
    """Return the S3 part of obstore's configuration."""
    config: S3Config = {
        "disable_bulk_delete": True,
        "copy_if_not_exists": _NEW_COPY_R2 if _R2 in (endpoint_url or "") else _NEW_COPY,
        "virtual_hosted_style_request": _is_virtual(addressing_style, bucket, endpoint_url),
    }
    if checksum_algorithm:
        config["checksum_algorithm"] = checksum_algorithm
    if region_name:
        config["region"] = region_name
    if endpoint_url:
        virtual = config["virtual_hosted_style_request"]
        config["endpoint"] = _with_bucket(endpoint_url, bucket) if virtual else endpoint_url
    if key:
        config["access_key_id"] = key.key_id
        config["secret_access_key"] = key.secret.reveal()
        if key.token:
            config["session_token"] = key.token.reveal()
    return config


def _is_virtual(style: str, bucket: str, endpoint_url: str | None) -> bool:
    if style not in {"auto", "path", "virtual"}:
        raise ConfigurationError("addressing_style is auto, path or virtual")
    # No certificate is valid for a host with dots where the bucket's name has them.
    return style == "virtual" or (style == "auto" and not endpoint_url and "." not in bucket)


def _with_bucket(endpoint_url: str, bucket: str) -> str:
    scheme, _, host = endpoint_url.partition("://")
    return f"{scheme}://{bucket}.{host}"


def access_key(
    access_key: str | None,
    secret_key: Secret | None,
    session_token: Secret | None,
    session_profile: str | None,
) -> AccessKey | None:
    """Return the key to use; None to let obstore find one in the usual places."""
    if bool(access_key) != bool(secret_key):
        missing = "secret_key" if access_key else "access_key"
        raise ConfigurationError(f"{missing} is missing", hint="Give both keys, or none")
    if access_key and secret_key:
        if session_profile:
            raise ConfigurationError("give either access_key or session_profile")
        return AccessKey(access_key, secret_key, session_token)
    if session_profile or not os.environ.get("AWS_ACCESS_KEY_ID"):
        return profile_key(session_profile)
    return None

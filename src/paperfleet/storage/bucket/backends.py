"""Object stores: Amazon S3 and everything that speaks it, Google Cloud Storage, Azure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from obstore.store import AzureStore, GCSStore

from paperfleet.errors import ConfigurationError
from paperfleet.storage.bucket import options
from paperfleet.storage.bucket.bucket import PART, ObjectStoreBackend
from paperfleet.storage.bucket.copying import Service
from paperfleet.storage.bucket.features import Features
from paperfleet.storage.bucket.keys import normal_location

if TYPE_CHECKING:
    from obstore.store import AzureConfig

    from paperfleet.secret import Secret

SMALLEST_PART = 5 << 20
"""Amazon S3 user guide, "Multipart upload limits"."""


class S3CompatibleBackend(ObjectStoreBackend):
    """A bucket of Amazon S3, or of any store that speaks S3 (MinIO, Garage, Ceph, R2, …).

    The options have the names of paperless-ngx's design and of django-storages; ``prefix`` is
    another word for ``location``. Without keys: the environment (``AWS_ACCESS_KEY_ID`` and so on),
    the profile ``session_profile``, ``AWS_PROFILE`` or ``default`` of ``~/.aws/credentials``, web
    identity, container, instance metadata, in this order.

    ``verify`` is False, True, or a file of certificates. ``addressing_style`` is ``path``,
    ``virtual`` or ``auto`` (virtual on AWS, path elsewhere). ``checksum_algorithm`` is what the
    store is to check beside the signed SHA-256 of each request: ``SHA256``, ``CRC64NVME`` or, for a
    store that knows neither, an empty text. ``timeout`` is in seconds without a byte, ``retries``
    how often a single request is sent again.

    Sends nothing yet; raises ``ConfigurationError``.
    """

    def __init__(
        self,
        bucket_name: str,
        *,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        access_key: str | None = None,
        secret_key: Secret | None = None,
        session_token: Secret | None = None,
        session_profile: str | None = None,
        location: str = "",
        prefix: str = "",
        addressing_style: str = "auto",
        verify: bool | str = True,
        allow_plain_http: bool = False,
        checksum_algorithm: str = "SHA256",
        timeout: float = 60,
        retries: int = 3,
        part_size: int = PART,
    ) -> None:
        if location and prefix:
            raise ConfigurationError("location and prefix are two words for one thing")
        if part_size < SMALLEST_PART:
            raise ConfigurationError("part_size is at least 5 MiB, which S3 asks for")
        bucket = options.check_bucket(bucket_name)
        endpoint = endpoint_url or _environment_endpoint()
        http = bool(endpoint) and options.check_endpoint(
            endpoint or "", allow_plain_http=allow_plain_http
        )
        place = normal_location(location or prefix)
        key = options.access_key(access_key, secret_key, session_token, session_profile)
        config = options.s3_config(
            bucket=bucket,
            endpoint_url=endpoint.rstrip("/") if endpoint else None,
            region_name=region_name,
            addressing_style=addressing_style,
            checksum_algorithm=checksum_algorithm,
            key=key,
        )
        service = Service(
            bucket,
            config,
            options.client_options(verify=verify, timeout=timeout, allow_plain_http=http),
            options.retry_config(retries),
        )
        where = f" at {endpoint.partition('://')[2].rstrip('/')}" if endpoint else ""
        label = f"s3://{bucket}/{place}{where}"
        super().__init__(
            service.store(), label=label, location=place, part_size=part_size, service=service
        )


class GoogleCloudBackend(ObjectStoreBackend):
    """A bucket of Google Cloud Storage.

    ``service_account_file`` is the key file of a service account; without it: the environment
    (``GOOGLE_APPLICATION_CREDENTIALS``), the command line's login, the machine's account.
    """

    def __init__(
        self,
        bucket_name: str,
        *,
        service_account_file: str | None = None,
        location: str = "",
        verify: bool | str = True,
        timeout: float = 60,
        retries: int = 3,
    ) -> None:
        bucket = options.check_bucket(bucket_name)
        place = normal_location(location)
        store = GCSStore(
            bucket,
            config={"service_account": service_account_file} if service_account_file else None,
            client_options=options.client_options(
                verify=verify, timeout=timeout, allow_plain_http=False
            ),
            retry_config=options.retry_config(retries),
        )
        super().__init__(
            store,
            label=f"gs://{bucket}/{place}",
            location=place,
            features=Features(create=True, update=False, copy_new=True),
        )


class AzureBackend(ObjectStoreBackend):
    """A container of Azure Blob Storage.

    ``access_key`` is the account's key; without it: the environment, workload identity, the
    machine's identity.
    """

    def __init__(
        self,
        bucket_name: str,
        *,
        account_name: str | None = None,
        access_key: Secret | None = None,
        endpoint_url: str | None = None,
        location: str = "",
        verify: bool | str = True,
        allow_plain_http: bool = False,
        timeout: float = 60,
        retries: int = 3,
    ) -> None:
        bucket = options.check_bucket(bucket_name)
        place = normal_location(location)
        config: AzureConfig = {}
        if account_name:
            config["account_name"] = account_name
        if access_key:
            config["account_key"] = access_key.reveal()
        http = False
        if endpoint_url:
            http = options.check_endpoint(endpoint_url, allow_plain_http=allow_plain_http)
            config["endpoint"] = endpoint_url
        store = AzureStore(
            bucket,
            config=config,
            client_options=options.client_options(
                verify=verify, timeout=timeout, allow_plain_http=http
            ),
            retry_config=options.retry_config(retries),
        )
        super().__init__(
            store,
            label=f"az://{bucket}/{place}",
            location=place,
            features=Features(create=True, update=True, copy_new=True),
        )


def _environment_endpoint() -> str | None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)

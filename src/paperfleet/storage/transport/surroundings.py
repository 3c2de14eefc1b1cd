"""What the environment decides about connections: the proxy, and which authorities are trusted."""

from __future__ import annotations

import os
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import pycurl

from paperfleet.storage.addresses import is_loopback

PROXIES = {"http", "https", "socks5", "socks5h"}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe: a file or a folder of authorities (PEM), or the PEM itself; all may be None.

    ``checks`` False believes anybody. ``certificate`` is a PEM file with our certificate and key.
    """

    file: str | None = None
    folder: str | None = None
    pem: bytes | None = None
    checks: bool = True
    certificate: str | None = None

    def apply(self, easy: pycurl.Curl) -> None:
        """Set the options of libcurl."""
        if not self.checks:
            easy.setopt(pycurl.SSL_VERIFYPEER, 0)
            easy.setopt(pycurl.SSL_VERIFYHOST, 0)
        else:
            easy.setopt(pycurl.CAINFO, self.file)
            easy.setopt(pycurl.CAPATH, self.folder)
            if self.pem is not None:
                easy.setopt(pycurl.CAINFO_BLOB, self.pem)
        if self.certificate is not None:
            easy.setopt(pycurl.SSLCERT, self.certificate)


def trust_of(verify: bool | str | bytes, certificate: str | None = None) -> Trust:
    """Return whom to believe.

    ``verify``: True for the usual authorities, False for anybody, the path of a PEM file or of a
    folder made by ``c_rehash``, or PEM as bytes. Raises ``OSError`` when that cannot be used.

    The usual ones are those of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` where they are set, else
    those of Mozilla (certifi) together with the ones in the system's folder.
    """
    if certificate is not None:
        ssl.create_default_context().load_cert_chain(certificate)
    if isinstance(verify, bytes):
        ssl.create_default_context(cadata=verify.decode("ascii"))
        return Trust(pem=verify, certificate=certificate)
    if isinstance(verify, str):
        return _named(verify, certificate)
    if not verify:
        return Trust(checks=False, certificate=certificate)
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return Trust(file or None, folder or None, certificate=certificate)
    return Trust(certifi.where(), ssl.get_default_verify_paths().capath, certificate=certificate)


def _named(path: str, certificate: str | None) -> Trust:
    if Path(path).is_dir():
        return Trust(folder=path, certificate=certificate)
    ssl.create_default_context(cafile=path)
    return Trust(file=path, certificate=certificate)


def proxy_of(origin: str) -> str:
    """Return the proxy that the environment names for a server (``HTTPS_PROXY``…), '' for none.

    What goes to this machine, perhaps unencrypted, does not leave it. Raises ``ValueError`` for one
    that cannot be used.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return ""
    proxies = urllib.request.getproxies()
    named = proxies.get(parts.scheme) or proxies.get("all") or ""
    if not named:
        return ""
    address = named if "://" in named else f"http://{named}"
    try:
        proxy = urlsplit(address)
        usable = proxy.scheme in PROXIES and proxy.hostname and proxy.port != 0
    except ValueError:
        usable = False
    if not (usable and address.isascii()):  # the text of the error would quote the address
        raise ValueError("the proxy is no address of http, https or socks5") from None
    return address

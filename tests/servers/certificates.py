"""Certificates for servers of the tests, made by openssl: good ones, old ones, of other names."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def openssl_missing() -> str | None:
    """Return why none can be made (for a skip), None when they can."""
    return None if shutil.which("openssl") else "no openssl to make a certificate with"


def make_certificate(
    folder: Path, *, name: str = "IP:127.0.0.1", expired: bool = False, stem: str = "server"
) -> Path:
    """Return a file with a key and a certificate that it signed itself; ``stem``.crt is public."""
    key, public, both = (folder / f"{stem}.{suffix}" for suffix in ("key", "crt", "pem"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-subj", f"/CN={stem}"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-addext", f"subjectAltName={name}"]
    command += ["-addext", "basicConstraints=critical,CA:TRUE"]
    times = ["-not_before", "20200101000000Z", "-not_after", "20200201000000Z"]
    command += times if expired else ["-days", "2"]
    command += ["-keyout", str(key), "-out", str(public)]
    made = subprocess.run(command, capture_output=True, timeout=30, check=False)
    if made.returncode and expired:  # openssl before 3.4 knows no dates
        _make_expired(folder, name, key, public)
    both.write_bytes(key.read_bytes() + public.read_bytes())
    return both


def _make_expired(folder: Path, name: str, key: Path, public: Path) -> None:
    (folder / "index").write_text("")
    (folder / "serial").write_text("01")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nserial={folder}/serial\n"
        f"new_certs_dir={folder}\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n"
        f"[p]\ncommonName=supplied\n[e]\nsubjectAltName={name}\n"
        "basicConstraints=critical,CA:TRUE\n[req]\ndistinguished_name=n\n[n]\n"
    )
    run = ["openssl", "req", "-new", "-newkey", "ec", "-nodes", "-subj", "/CN=expired"]
    run += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", str(key)]
    run += ["-config", str(folder / "ca.cnf"), "-out", str(folder / "request")]
    subprocess.run(run, capture_output=True, timeout=30, check=True)
    sign = ["openssl", "ca", "-batch", "-selfsign", "-config", str(folder / "ca.cnf")]
    sign += ["-keyfile", str(key), "-in", str(folder / "request"), "-out", str(public), "-notext"]
    sign += ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]
    subprocess.run(sign, capture_output=True, timeout=30, check=True)


def server_context(certificate: Path, *, wants_of: Path | None = None) -> ssl.SSLContext:
    """Return a server's side of TLS; it asks clients for a certificate of ``wants_of``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if wants_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(wants_of)
    return context

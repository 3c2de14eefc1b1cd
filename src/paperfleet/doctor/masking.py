"""No secret in what is printed, whatever an answer of a server or an error has put into it.

What the checks say is made of our own words, so this is the second line: a server may repeat what
it was sent, a driver may quote its address. What has been set as a secret is replaced, in the forms
in which it travels.
"""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlsplit

from paperfleet.backup.variables import may_be_secret
from paperfleet.printable import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MASK = "***"
_BYTES = "surrogateescape"
"""What a variable holds may be no UTF-8."""
SHORTEST = 4
"""Characters of a secret that is replaced: a shorter one would be told by what is missing."""
ORDINARY = frozenset(
    {"documents", "mirror", "nextcloud", "paperfleet", "paperless", "paperless-ngx", "password"}
    | {"postgres", "postgresql", "redis", "secret", "server", "true", "false"}
)
"""Words of our own texts: to leave one out would tell that it is the secret."""
_IN_URL = re.compile(r"(?<=://)(?![^/\s@]*:password@)[^/\s@]*:[^/\s]*@")
"""But for the examples in our own hints."""
_QUERY = re.compile(
    r"(?i)([?&][^=&\s]*(?:token|secret|sig|pass|key|credential)[^=&\s]*=)[^&\s'\"]+"
)


class Mask:
    """Replaces secrets in texts."""

    def __init__(self, secrets: Iterable[str], users: Iterable[str] = ()) -> None:
        known = {one for one in secrets if len(one) >= SHORTEST and one.lower() not in ORDINARY}
        forms = {form for one in known for form in _forms(one)}
        for user in users:
            forms |= {_base64(f"{user}:{one}") for one in known}
        # The longest first: one secret may be the beginning of another.
        self._forms = sorted((form for form in forms if form), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return a text without secrets."""
        for form in self._forms:
            text = text.replace(form, MASK)
        text = _IN_URL.sub(f"{MASK}@", text)
        text = _QUERY.sub(rf"\1{MASK}", text)
        return self._without_begun(text)

    def _without_begun(self, text: str) -> str:
        """Take away what a secret begins with, at the end: texts of servers are cut at some length.

        The end may be that of what a server said, in parentheses.
        """
        for form in self._forms:
            if form[:SHORTEST] not in text:
                continue
            for length in range(len(form) - 1, SHORTEST - 1, -1):
                begun = form[:length]
                text = text.replace(f"{begun})", f"{MASK})")
                if text.endswith(begun):
                    text = text[:-length] + MASK
        return text


def _forms(secret: str) -> set[str]:
    """Return a secret as it may appear: as it is, in a URL, in HTML, in JSON, in base64, shown."""
    return {
        secret,
        readable(secret),
        quote(secret, safe="", errors=_BYTES),
        quote(secret, errors=_BYTES),
        quote_plus(secret, errors=_BYTES),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        _base64(secret),
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode(errors=_BYTES)).decode()


def secrets_in(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what in an environment may be a secret, as it stands there and as it is meant."""
    for name, value in environ.items():
        if may_be_secret(name.upper(), value):
            yield from secrets_of(value)


def secrets_of(value: str) -> Iterator[str]:
    """Yield a secret value; of an address its password, of a JSON object what in it is secret."""
    yield value
    yield value.strip()
    if "://" in value:
        yield from _password_in(value)
    elif ":" in value:
        yield value.partition(":")[2]  # of an address without its slashes
    try:
        found = json.loads(value)
    except ValueError:
        return
    if isinstance(found, dict):
        yield from secrets_in({name: text for name, text in found.items() if isinstance(text, str)})


def _password_in(address: str) -> Iterator[str]:
    try:
        password = urlsplit(address).password
    except ValueError:
        password = address.partition("://")[2].rpartition("@")[0].partition(":")[2]
    yield password or ""
    yield unquote(password or "")

"""Secrets stay out of what is printed, in every form in which they travel."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from tests.unit.test_printable import HOSTILE

from paperfleet.doctor.masking import MASK, Mask, secrets_in
from paperfleet.printable import readable

SECRETS = {
    "plain": "s3cret-pass",
    "signs": "a b:c/d@e?f&g=h#i%41+\"'<x>\\",
    "umlauts": "pässwörter€",
    "long": "x" * 200,
    "pattern": r"(.*)\1[a-z]{3}$^",
    "app password": "aaaaa-bbbbb-ccccc-ddddd-eeeee",
    **{f"hostile {name}": f"geheim{text}" for name, text in HOSTILE.items()},
}
FORMS = {
    "as it is": lambda text: text,
    "shown": readable,
    "in a path": lambda text: quote(text, safe="", errors="surrogateescape"),
    "in a query": lambda text: quote_plus(text, errors="surrogateescape"),
    "in HTML": html.escape,
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in Python": lambda text: repr(text)[1:-1],
    "base64": lambda text: base64.b64encode(text.encode(errors="surrogateescape")).decode(),
    "Basic": lambda text: base64.b64encode(
        f"alice:{text}".encode(errors="surrogateescape")
    ).decode(),
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_is_replaced_in_every_form(secret: str, form: type) -> None:
    shown = form(secret)
    text = f"the server said {shown} and more"
    assert Mask([secret], users=["alice"])(text) == f"the server said {MASK} and more"


def test_of_two_secrets_the_longer_one_goes_first() -> None:
    assert Mask(["abcd", "abcdefgh"])("abcdefgh abcd") == f"{MASK} {MASK}"


def test_what_was_cut_off_in_a_secret_goes_too() -> None:
    assert Mask(["geheimnis"])("the server said geheim") == f"the server said {MASK}"
    assert Mask(["geheimnis"])("(HTTP 500: geheim), and") == f"(HTTP 500: {MASK}), and"
    assert Mask(["geheimnis"])("the server said geh") == "the server said geh"


def test_what_is_no_known_secret_and_looks_like_one_goes() -> None:
    mask = Mask([])
    assert mask("at redis://:hunter22@host:6379/0") == f"at redis://{MASK}@host:6379/0"
    assert mask("at https://u:p@h/x") == f"at https://{MASK}@h/x"
    assert mask("to https://h/login?token=abc&x=1") == f"to https://h/login?token={MASK}&x=1"
    example = "Such as redis://:password@host:6379/0"
    assert mask(example) == example
    assert mask("at https://cloud.example/dav") == "at https://cloud.example/dav"


@pytest.mark.parametrize("word", ["paperless", "Password", "redis"])
def test_a_word_of_our_own_texts_tells_nothing(word: str) -> None:
    text = f"paperless-ngx: {word} is refused"
    assert Mask([word])(text) == text


def test_a_short_secret_is_not_told_by_what_is_missing() -> None:
    assert Mask(["ok"])("the key is ok") == "the key is ok"


def test_secrets_are_found_by_name_and_by_look() -> None:
    environ = {
        "PAPERLESS_SECRET_KEY": "key-of-django",
        "PAPERLESS_DBPASS": "dbpass1",
        "PAPERLESS_REDIS": "redis://:r%40dis@host/0",
        "PAPERFLEET_STORAGE_OPTIONS": '{"secret_key": "inner-secret", "region_name": "eu-one"}',
        "AWS_SECRET_ACCESS_KEY": "aws-secret",
        "HTTPS_PROXY": "http://me:proxypass@proxy:3128",
        "PAPERFLEET_PASSWORD_FILE": "/run/secrets/nextcloud",
        "HOME": "/home/alice",
    }
    found = set(secrets_in(environ))
    wanted = {"key-of-django", "dbpass1", "r%40dis", "r@dis", "inner-secret", "aws-secret"}
    assert wanted | {"proxypass"} <= found
    assert not found & {"/run/secrets/nextcloud", "/home/alice", "eu-one"}

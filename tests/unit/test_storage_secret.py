"""A secret is shown by nothing but reveal."""

from __future__ import annotations

import copy
import pickle

import pytest

from paperfleet.secret import Secret


def test_hidden() -> None:
    secret = Secret("hunter2")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", repr([secret]), f"{secret:>9}"]
    assert not any("hunter2" in text for text in shown)
    assert secret.reveal() == "hunter2"
    assert not hasattr(secret, "__dict__")


def test_compares_and_counts_as_its_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a")
    assert not Secret("")


def test_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("a"))


def test_can_be_copied() -> None:
    assert copy.deepcopy({"a": Secret("x")}) == {"a": Secret("x")}

"""What an error of one operation means, as a table; how long to wait, and for whom."""

from __future__ import annotations

import pytest

from paperfleet import errors
from paperfleet.mirror import policy
from paperfleet.mirror.execute import SourceError
from paperfleet.mirror.policy import (
    again_seconds,
    pause_seconds,
    quarantine_seconds,
    tried_together,
    verdict,
)
from paperfleet.model import Delete, KnownFile, Move, MoveFolder

TABLE = """
LeaseLostError          unknown  again
SourceError             unknown  again
CredentialsError        none     pause
MaintenanceError        none     pause
ThrottledError          none     pause
QuotaExceededError      unknown  quarantine
NotAStorageError        unknown  pause
BusyError               unknown  again
UnavailableError        unknown  pause and count
PreconditionFailedError unknown  again
AlreadyExistsError      unknown  again
NotFoundError           unknown  again
IntegrityError          unknown  again
ArrivedDamagedError     unknown  again
InvalidNameError        none     quarantine
NameRefusedError        none     quarantine
LockedError             unknown  quarantine
TooLargeError           none     quarantine
FileAccessError         none     quarantine
StorageError            unknown  quarantine
ValueError              unknown  quarantine
"""
ROWS = [line.split(None, 2) for line in TABLE.strip().splitlines()]


def error_named(name: str) -> Exception:
    if name == "ValueError":
        return ValueError("a fault of ours")
    kind = SourceError if name == "SourceError" else getattr(errors, name)
    error: Exception = kind("it failed")
    return error


@pytest.mark.parametrize(("name", "effect", "then"), ROWS)
def test_an_error_means(name: str, effect: str, then: str) -> None:
    found = verdict(error_named(name))
    assert (found.effect.name.lower(), _words(found.then)) == (effect, then)


def _words(then: policy.Then) -> str:
    return then.name.lower().replace("_", " ")


def test_every_kind_of_error_has_a_row() -> None:
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.StorageError)
    }
    assert kinds | {"SourceError", "LeaseLostError", "ValueError"} == {name for name, *_ in ROWS}


def test_the_end_of_the_process_is_no_verdict() -> None:
    with pytest.raises(KeyboardInterrupt):
        verdict(KeyboardInterrupt())


@pytest.mark.parametrize(
    ("error", "failures", "seconds"),
    [
        (errors.UnavailableError("away"), 1, 2.0),
        (errors.UnavailableError("away"), 2, 4.0),
        (errors.UnavailableError("away"), 4, 16.0),
        (errors.UnavailableError("away"), 9, 60.0),
        (errors.CredentialsError("wrong"), 1, 1800.0),
        (errors.CredentialsError("wrong", retry_after=5), 1, 1800.0),
        (errors.ThrottledError("slower", retry_after=7), 9, 7.0),
        (errors.ThrottledError("slower", retry_after=0), 1, 0.1),
        (errors.MaintenanceError("closed", retry_after=90_000), 1, 3600.0),
    ],
)
def test_a_pause_doubles_unless_the_server_says_how_long(
    error: errors.StorageError, failures: int, seconds: float
) -> None:
    assert pause_seconds(error, failures, first=2.0) == seconds


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.NotFoundError("gone"), 0.5),
        (errors.NotFoundError("gone", retry_after=9), 0.5),
        (errors.BusyError("busy"), 1.0),
        (errors.BusyError("busy", retry_after=9), 9.0),
        (errors.BusyError("busy", retry_after=0), 0.5),
        (errors.BusyError("busy", retry_after=90_000), 3600.0),
    ],
)
def test_a_name_is_looked_at_again_at_once_or_when_its_storage_said(
    error: errors.StorageError, seconds: float
) -> None:
    assert again_seconds(error, settle=0.5) == seconds


@pytest.mark.parametrize(
    ("error", "attempts", "seconds"),
    [
        (errors.LockedError("open"), 1, 30.0),
        (errors.LockedError("open"), 2, 60.0),
        (errors.LockedError("open"), 7, 1920.0),
        (errors.LockedError("open"), 8, 3600.0),
        (errors.LockedError("open"), 10_000, 3600.0),
        (errors.LockedError("open", retry_after=45), 1, 45.0),
        (errors.LockedError("open", retry_after=90_000), 1, 3600.0),
        (errors.QuotaExceededError("full"), 1, 300.0),
        (errors.QuotaExceededError("full", retry_after=9), 9, 300.0),
        (ValueError("a fault of ours"), 1, 30.0),
    ],
)
def test_a_file_rests_twice_as_long_each_time(
    error: Exception, attempts: int, seconds: float
) -> None:
    assert quarantine_seconds(error, attempts) == seconds


def known(name: str) -> KnownFile:
    return KnownFile(name, name, 1, "0" * 64, None, None, None, None)


def test_a_move_rests_under_both_of_its_names() -> None:
    one = Move(known("old/a"), "new/a", "new/a", None)
    assert tried_together(one) == ("old/a", "new/a")
    folder = MoveFolder("old", "new", "old", "new", (one,))
    assert tried_together(folder) == ("old", "new")
    assert tried_together(Delete(known("b"))) == ("b",)


def test_a_name_is_tried_a_few_times() -> None:
    assert policy.TRIES_BEFORE_QUARANTINE == 3

"""What ``manage.py check`` prints is read as it is meant."""

from __future__ import annotations

from paperfleet.fleet.diagnosis import SystemMessage, is_here, messages_in

PRINTED = """\
SystemCheckError: System check identified some issues:

CRITICALS:
?: (documents.C001) it is broken
ERRORS:
?: (paperfleet.E002) the storage s3://bucket: access denied
\tHINT: Its key needs the rights to read.
documents.Document: (models.E001) two lines
of one message
\tHINT: Go
\ton
WARNINGS:
?: The default language is not installed
\tHINT: Install it
?: (paperfleet.W101) the media lock keeps out this host alone

System check identified 5 issues (0 silenced).
?: (not.E001) a message
"""


def test_messages_are_read_with_their_hints() -> None:
    assert messages_in("[a log] line: (x.E1) no message\n" + PRINTED) == [
        SystemMessage("CRITICALS", "it is broken"),
        SystemMessage(
            "ERRORS", "the storage s3://bucket: access denied", "Its key needs the rights to read."
        ),
        SystemMessage("ERRORS", "two lines of one message", "Go on"),
        SystemMessage("WARNINGS", "The default language is not installed", "Install it"),
        SystemMessage("WARNINGS", "the media lock keeps out this host alone"),
    ]


def test_no_messages() -> None:
    assert messages_in("System check identified no issues (0 silenced).") == []
    assert messages_in("Traceback (most recent call last):\nValueError: x") == []


def test_an_installation_is_known_by_its_variables() -> None:
    assert is_here({"PAPERLESS_REDIS": "redis://"})
    assert not is_here({"PAPERLESS_PORT": "tcp://10.0.0.1:8000", "HOME": "/"})

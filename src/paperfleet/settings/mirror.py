"""The settings of the mirror: the fields of ``MirrorSettings`` are the table."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from paperfleet.secret import Secret
from paperfleet.settings.table import DAY, WEEK, About, Setting, rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSettings:
    """What one mirror is told; times in seconds, sizes in MB of 1,000,000 bytes."""

    source: Annotated[
        str,
        About(
            "Folder (or URL) whose files are mirrored; it is only read",
            flag="",
            unset="required; `/mnt/source` beside `WEBDRIVE_URL`",
        ),
    ]
    target: Annotated[
        str,
        About(
            "Where the files go: `nextclouds://user@cloud.example/Archive`, "
            "`https://cloud.example/remote.php/dav/files/user/Archive`, `webdavs://…`, `/srv/copy`",
            legacy="WEBDRIVE_URL",
            flag="",
            unset="required",
        ),
    ]
    paperless: Annotated[
        str | None,
        About(
            "Address of a paperless-ngx whose documents are mirrored, in the place of SOURCE; what "
            "its REST API shows to the user of the token",
            unset="none: SOURCE is mirrored",
        ),
    ] = None
    paperless_token: Annotated[
        Secret | None,
        About("Token for the REST API of paperless-ngx, from 'My Profile' there", flag=""),
    ] = None
    paperless_token_file: Annotated[
        Path | None, About("File that holds the token; a newline at its end is not part of it")
    ] = None
    content: Annotated[
        Literal["archive", "original", "both"],
        About(
            "Which file of a document of paperless-ngx is mirrored: the `archive` version, else "
            "the original; the `original`; or `both`, in folders `archive` and `originals`"
        ),
    ] = "archive"
    document_path: Annotated[
        str | None,
        About(
            "Template of the names of documents, in paperless-ngx's filename format, such as "
            "`{{ created_year }}/{{ correspondent }}/{{ title }}`",
            unset="the names that they have in paperless-ngx's own folder",
        ),
    ] = None
    only_tags: Annotated[
        str | None,
        About("Mirror the documents with one of these tags alone: names, parted by commas"),
    ] = None
    only_types: Annotated[
        str | None,
        About("Mirror the documents of these types alone: names, parted by commas"),
    ] = None
    only_owners: Annotated[
        str | None,
        About("Mirror the documents of these users alone: their user names, parted by commas"),
    ] = None
    trash_folder: Annotated[
        str | None,
        About(
            "Folder of the target for documents in paperless-ngx's trash, until that is emptied",
            unset="a document leaves the target when it goes to the trash",
        ),
    ] = None
    username: Annotated[
        str,
        About(
            "User at the target",
            legacy="WEBDRIVE_USER",
            unset="the one in the target's URL, if any",
        ),
    ] = ""
    password: Annotated[
        Secret | None,
        About(
            "Password at the target; with Nextcloud an app password",
            legacy="WEBDRIVE_PASSWORD",
            flag="",
        ),
    ] = None
    password_file: Annotated[
        Path | None,
        About(
            "File that holds the password; a newline at its end is not part of it",
            legacy="WEBDRIVE_PASSWORD_FILE",
        ),
    ] = None
    once: Annotated[bool, About("Bring source and target together, then exit")] = False
    dry_run: Annotated[bool, About("Print what would be done and do nothing")] = False
    settle_seconds: Annotated[
        float,
        About("A closed file is sent when it has not changed for so long", minimum=0, maximum=3600),
    ] = 0.1
    open_settle_seconds: Annotated[
        float,
        About(
            "A file that nobody was seen to close is sent when it has not changed for so long",
            minimum=0,
            maximum=3600,
        ),
    ] = 5.0
    poll_seconds: Annotated[
        float | None,
        About(
            "Look at the source every so many seconds instead of watching it",
            minimum=0.1,
            maximum=DAY,
            flag="--poll",
            unset="inotify; polling only where that sees nothing, on network filesystems",
        ),
    ] = None
    scan_interval_seconds: Annotated[
        float,
        About(
            "Compare the whole source with the journal so often, in case an event was missed",
            minimum=1,
            maximum=WEEK,
        ),
    ] = 3600.0
    target_check_seconds: Annotated[
        float,
        About(
            "Look so often for what somebody else changed at the target", minimum=1, maximum=WEEK
        ),
    ] = 60.0
    adopt: Annotated[
        Literal["checksum", "mtime"],
        About(
            "When a file that is at the target already counts as the same: equal size and "
            "`checksum`, or, without reading it, equal size and `mtime`"
        ),
    ] = "checksum"
    follow_links: Annotated[
        bool, About("Mirror what symbolic links point to, as long as it lies within the source")
    ] = False
    foreign: Annotated[
        Literal["keep", "overwrite"],
        About(
            "Somebody else's different file of the same name, where the target keeps no versions: "
            "`keep` it under another name, or `overwrite` it"
        ),
    ] = "keep"
    delete_share: Annotated[
        float,
        About(
            "Hold back, within an hour, the deletion or emptying of more than this share of the "
            "known files; 1 holds back none …",
            0,
            1,
        ),
    ] = 0.25
    delete_floor: Annotated[
        int,
        About(
            "… when they are also more than so many files, or more than half of all",
            0,
            1_000_000_000,
        ),
    ] = 20
    overwrite_share: Annotated[
        float,
        About(
            "Hold back overwrites when more than this share of the known files, and at least 5, "
            "change within an hour; 1 holds back none. A target that keeps versions gets them, "
            "and a warning is logged",
            0,
            1,
        ),
    ] = 0.5
    connections: Annotated[
        int, About("Requests at one time, at most; the mirror adapts below it", 1, 64)
    ] = 8
    verify: Annotated[
        Literal["sample", "read", "size"],
        About(
            "Read uploads back where the target computes no hash of what it receives (any WebDAV "
            "server but Nextcloud, buckets with KMS encryption): the first and then a `sample`, "
            "every one with `read`, none with `size`"
        ),
    ] = "sample"
    bulk: Annotated[
        Literal["auto", "off"],
        About("Send small files together, where a Nextcloud offers it and it proves itself"),
    ] = "auto"
    chunk_mb: Annotated[int, About("Size of one chunk of a large file at a Nextcloud", 5, 5000)] = (
        10
    )
    chunk_threshold_mb: Annotated[int, About("Send files larger than this in chunks", 5, 5000)] = 20
    journal: Annotated[
        Path,
        About(
            "File that holds what is known to be at the target; on a local disk",
            unset="`$XDG_STATE_HOME/paperfleet/<hash of source and target>.sqlite`; "
            "`XDG_STATE_HOME` is `~/.local/state` unless set, and `/var/lib` in the image",
        ),
    ]
    lease: Annotated[
        Secret | None,
        About(
            "Lease store that mirrors of one target share, so that one works and the others stand "
            "by: `redis://…`, `postgresql://…`, or `file:/run/paperfleet` on one host; it may have "
            "a password in it",
            flag="",
            unset="no lease: start one mirror only",
        ),
    ] = None
    lease_file: Annotated[
        Path | None,
        About("File that holds the address of the lease store; a newline at its end is no part"),
    ] = None
    lease_seconds: Annotated[
        float,
        About(
            "A mirror that is silent for so long has lost the lease to one that stands by", 1, 3600
        ),
    ] = 30.0
    log_format: Annotated[
        Literal["text", "json"], About("Log lines for people or for programs")
    ] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        About("`warning` leaves out what went well, `debug` adds detail"),
    ] = "info"
    allow_plain_http: Annotated[
        bool,
        About("Allow `http://` to other machines: anybody between can read the password"),
    ] = False
    ca_file: Annotated[
        Path | None,
        About("Certificates (PEM) to trust instead of the usual ones", unset="the usual ones"),
    ] = None
    timeout_seconds: Annotated[
        float,
        About(
            "Give up a request after so long; one that moves a file or a listing goes on as long"
            " as it moves",
            1,
            3600,
        ),
    ] = 60.0
    lowest_rate: Annotated[
        float,
        About(
            "Bytes a second that a file or a listing has to move, on average over"
            " `timeout_seconds`",
            0,
            1e9,
        ),
    ] = 1000.0
    client_certificate: Annotated[
        Path | None,
        About("A PEM file with a certificate and its key, for servers that want one", unset="none"),
    ] = None
    health_seconds: Annotated[
        float,
        About(
            "`paperfleet health` fails when source and target were not compared for so long",
            1,
            WEEK,
        ),
    ] = 900.0
    missing_seconds: Annotated[
        float,
        About(
            "`paperfleet health` fails when a file is not at the target as it is at the source for "
            "so long; at once when nothing is there",
            0,
            WEEK,
        ),
    ] = 3600.0


@cache
def table() -> dict[str, Setting]:
    """Return every setting by its key, in the order of the reference page."""
    return rows_of(MirrorSettings)

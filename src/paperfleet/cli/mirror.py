"""``paperfleet mirror``: the main job."""

from __future__ import annotations

import os

import click

from paperfleet.cli.options import setting_options
from paperfleet.running.exitcodes import help_text
from paperfleet.running.mirror import keep_mirroring, prepare

EXAMPLES = """\b
Examples:
  export PAPERFLEET_PASSWORD_FILE=~/.nextcloud-app-password
  paperfleet mirror --dry-run /srv/documents nextclouds://alice@cloud.example/Archive
  paperfleet mirror /srv/documents nextclouds://alice@cloud.example/Archive
  paperfleet mirror --once /srv/documents /mnt/usb/documents
  paperfleet mirror --paperless https://paperless.example nextclouds://alice@cloud.example/Archive
  paperfleet mirror --poll 30 /mnt/nfs/documents https://dav.example/documents

"""


@click.command("mirror", epilog=EXAMPLES + help_text("mirror"))
@setting_options()
def command(**arguments: object) -> int:
    """Bring every file of SOURCE to TARGET, and go on doing so the moment one changes.

    SOURCE is a folder and is only read; with --paperless the documents of a paperless-ngx are
    mirrored in its place, one file each, and TARGET stands alone. TARGET is a Nextcloud, a WebDAV
    server or a folder. Files at the target that the mirror did not put there are left alone. Every
    option can also be a variable PAPERFLEET_… or stand in a TOML file; the password and the token
    are always one of these, never an option.
    """
    return keep_mirroring(lambda: prepare(arguments, os.environ))

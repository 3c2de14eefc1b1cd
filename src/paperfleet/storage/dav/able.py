"""What a storage on any WebDAV server can do: made once, as it is asked for with every file."""

from __future__ import annotations

from dataclasses import replace

from paperfleet.model import Capabilities

ABLE = Capabilities(
    stat=True,
    list_stats=True,
    survey=True,
    save_with=True,
    save_in_two=True,
    conditional_delete=True,
    move_folder=True,
    folders=True,
    sweep=True,
    free_space=True,
    end_requests=True,
    findings=True,
    checks=True,
    reads_back=True,
)
KEEPS_MODIFIED = replace(ABLE, keeps_modified=True)

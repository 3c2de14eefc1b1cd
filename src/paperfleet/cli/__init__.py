"""The commands, one file each."""

from paperfleet.cli.entry import main

__all__ = ["main"]

"""Bring all of one storage to another: copy, verify, and only then let go."""

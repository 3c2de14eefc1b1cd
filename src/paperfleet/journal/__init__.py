"""The journal: what we know to be at the target, and what we were doing."""

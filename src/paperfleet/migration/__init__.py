"""Copy all of one storage to another, verify all, then let go."""

"""What a process answers over HTTP beside its own work."""

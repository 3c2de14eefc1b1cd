"""Looks at all that usually goes wrong, and changes nothing: ``paperfleet doctor``."""

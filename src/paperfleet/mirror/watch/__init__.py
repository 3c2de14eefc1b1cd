"""How changes of a source are noticed."""

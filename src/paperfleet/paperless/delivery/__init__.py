"""Tasks that reach a worker of any host, and end exactly once (docs/adr/0018)."""

"""The outbox: what happened to documents, told after the commit."""

"""Looking after the documents: checking, repairing, migrating, and whose they are."""

"""The search index of each host of a fleet: fed by a stream of changes in the database."""

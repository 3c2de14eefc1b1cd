"""Documents in memory, for tests and demonstrations."""

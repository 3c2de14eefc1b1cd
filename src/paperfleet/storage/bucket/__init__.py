"""Documents in a bucket of an object store."""

"""Benchmarks of the mirror, of buckets and migrations beside what else there is; see README.md."""

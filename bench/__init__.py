"""Benchmarks of the mirror beside ``rclone sync`` and bare requests; see README.md."""

"""One number, the work that waits or runs, by which workers are added and taken away (ADR 0023)."""

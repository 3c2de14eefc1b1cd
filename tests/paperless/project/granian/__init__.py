"""Stands in for the web server Granian: its variables, and nothing else of it."""

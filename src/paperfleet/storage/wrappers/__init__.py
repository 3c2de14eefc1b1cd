"""Behaviour that is added around a storage: below a folder, tried again, verified."""

"""Tables of the small project."""

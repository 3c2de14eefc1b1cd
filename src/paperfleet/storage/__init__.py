"""Everything that holds documents is a ``DocumentStorage``."""

"""What follows when documents change."""

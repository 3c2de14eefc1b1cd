"""Documents in a Nextcloud."""

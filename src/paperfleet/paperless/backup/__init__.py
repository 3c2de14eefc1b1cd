"""What a backup needs of an installation, and does to one: the side that knows paperless-ngx."""

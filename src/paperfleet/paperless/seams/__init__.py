"""Where the app steps into paperless-ngx: the table, what stands there instead, and its test."""

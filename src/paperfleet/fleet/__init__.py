"""A fleet: one process of paperless-ngx per container, and the launcher that becomes it."""

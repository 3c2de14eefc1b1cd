"""A real paperless-ngx with the app beside the same one without; ``python -m bench.paperless``."""

"""A fleet of a real paperless-ngx beside the same one without the app, on one machine."""

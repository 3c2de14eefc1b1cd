"""Backups that restic keeps; knows neither Django nor paperless-ngx."""

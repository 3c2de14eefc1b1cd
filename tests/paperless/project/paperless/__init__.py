"""The settings of a small stand-in for paperless-ngx: its names, in our own words."""

from paperless.celery import app as celery_app

__all__ = ("celery_app",)

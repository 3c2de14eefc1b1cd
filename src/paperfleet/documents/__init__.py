"""The documents of a paperless-ngx as a source, one file each, by its REST API."""

"""The settings of a small stand-in for paperless-ngx: its names, in our own words."""

"""Documents as paperless-ngx has them: the same names at the same places, in our own words."""

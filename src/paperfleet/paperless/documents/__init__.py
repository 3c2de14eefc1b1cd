"""The documents of paperless-ngx in a storage: paths, files, streams, transactions."""

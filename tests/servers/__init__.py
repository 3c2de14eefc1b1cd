"""WebDAV servers for tests, each a context manager on a free loopback port."""

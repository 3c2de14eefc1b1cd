"""The mirror at work between a folder of PDFs and a WebDAV server on this machine."""

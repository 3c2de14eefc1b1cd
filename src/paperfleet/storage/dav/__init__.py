"""What WebDAV backends share: addresses, requests, answers, listings, streams."""

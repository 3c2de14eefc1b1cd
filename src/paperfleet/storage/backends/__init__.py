"""One module for each kind of storage; only the registry imports them."""

"""Where leases are kept; only the registry imports these."""

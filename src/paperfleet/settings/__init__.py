"""Settings: one table per component, one way to read them."""

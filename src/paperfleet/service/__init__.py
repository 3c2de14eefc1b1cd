"""Settings, and the only place that constructs objects from them."""

"""Keep a target equal to a source: watch, scan, plan, guard, execute."""

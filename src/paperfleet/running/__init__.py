"""Run what the settings describe: build, report, stop, stand by, and tell others how it is."""

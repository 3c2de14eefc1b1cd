"""A simulation of a fleet's workers on Kubernetes, scaled in several ways."""

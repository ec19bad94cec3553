"""Vitec Connect's stand-in, for the demo and the tests. Knows nothing of the rest."""

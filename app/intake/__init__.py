"""From a raw submission to a stored lead."""

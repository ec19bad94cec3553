"""One partner, one room: Vitec Connect."""

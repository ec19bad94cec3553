"""The forms file: what a form asks, who receives its leads, with which login."""

"""A person, and how whatever is stored about them goes."""

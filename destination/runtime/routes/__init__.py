"""The routes, a file for each family, and their description."""

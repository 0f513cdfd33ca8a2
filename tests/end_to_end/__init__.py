"""Whole commands as a stranger types them, in a fresh copy of the repository."""

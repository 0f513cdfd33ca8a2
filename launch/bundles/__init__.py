"""All that a machine without a network needs, as one folder: made, checked, installed."""

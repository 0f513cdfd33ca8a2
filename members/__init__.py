"""The members: each folder is one person's networks, experiments, container and weights."""

"""zuiye: an honest reconstruction of two designs that the team described and did not publish."""

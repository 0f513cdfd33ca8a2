"""newcomer: networks of its own, which the team's know nothing of."""

"""Stacking: a small network over the levels that corrects a blend from what its networks predict.

It is none of the team's and is run by `make stack` alone. It learns from the validation
predictions, and its own are cross-fitted: no row is predicted by a network that has seen its month.
"""

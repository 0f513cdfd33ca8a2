"""Evaluation as the field prints it: figures of predictions, and pages that show them.

It reads what the kit or somebody else predicted, compares it with the truth step by step
(`leapkit.climate` computes) and writes pages. No network is run, and no torch is needed.
"""

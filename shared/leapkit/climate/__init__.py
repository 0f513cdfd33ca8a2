"""The physics of a column and the numbers that climate science judges an emulator by.

`evaluation.Evaluation` takes blocks of (inputs, truth, prediction) and gives an `EvaluationResult`;
`grid_files.find_grid` finds the grid of a world. Everything is streamed in float64 and in bounded
memory. Predictions are single numbers, not ensembles, so that ClimSim's CRPS does not apply.
"""

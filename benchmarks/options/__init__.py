"""Options beyond the published solution, measured: each against the base, by seed, on two worlds.

python -m benchmarks.options run --world sample=DIR --world real=DIR --results FILE --work DIR
python -m benchmarks.options table --results FILE
"""

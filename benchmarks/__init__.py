"""Benchmarks: each hot step against the published way, on the same files in the same run.

    python -m benchmarks                   # minutes, on a small sample world that it makes
    python -m benchmarks --steps raw_data/ClimSim_low-res/train --rows 100000

Each step module exports one `STEP` (case.Step). Step modules import heavy packages inside their
functions only: each side runs in a process of its own (worker), and its memory must not include the
other side's packages.
"""

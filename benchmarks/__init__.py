"""What measures the kit: each hot step against the published way of doing it, same files, same run.

    python -m benchmarks                                    # minutes, on a small world that it makes itself
    python -m benchmarks --steps raw_data/ClimSim_low-res/train --rows 100000

Every step module exports one `STEP` (measure.Step). Step modules import heavy packages inside their functions only:
each side runs in a process of its own and must not be charged for the other side's packages.
"""

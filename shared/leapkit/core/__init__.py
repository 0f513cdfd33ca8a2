"""What needs nothing but Python's standard library: names, files, receipts, experiments and the plan of a run."""

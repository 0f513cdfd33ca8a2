"""What needs only the standard library: names, files, receipts, experiments, the plan of a run."""

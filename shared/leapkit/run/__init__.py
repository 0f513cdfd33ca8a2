"""Training, fine-tuning and inference of any experiment, and a member's command line: PyTorch and the data."""

"""Building blocks of networks that several members share: PyTorch, and nothing of the data."""

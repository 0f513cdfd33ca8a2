"""What needs NumPy and PyArrow: readers and writers of every file, scaling, the score, the loader."""

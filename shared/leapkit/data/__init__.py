"""What needs NumPy and PyArrow: readers and writers of all files, scaling, score and loader."""

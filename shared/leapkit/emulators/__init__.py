"""Networks as emulators of a column's physics: found, loaded, applied to columns of any source."""

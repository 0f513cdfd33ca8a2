"""Data sets made from other data: scored worlds from step files, months as arrays, statistics."""

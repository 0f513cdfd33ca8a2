"""The launcher behind `make`: it chooses, plans and runs. Standard library only, Python >= 3.8."""

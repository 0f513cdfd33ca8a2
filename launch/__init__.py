"""The launcher behind `make`: chooses, plans and runs; standard library only, so that it works on any Python >= 3.8."""

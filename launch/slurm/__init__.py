"""A plan as batch jobs of Slurm."""

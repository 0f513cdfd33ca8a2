"""What a plan costs, before it runs and while it runs: hours and GPU hours."""

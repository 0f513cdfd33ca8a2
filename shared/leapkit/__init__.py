"""leapkit: what every member and the blend share, from raw files to a verified submission."""

__version__ = "0.1.0"

"""leapkit: what every member and the blend share, from raw files to a verified submission."""

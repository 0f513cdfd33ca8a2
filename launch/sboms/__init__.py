"""What images and environments hold, as CycloneDX documents."""

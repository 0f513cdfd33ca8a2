"""Self-contained files of a network or a blend, for programs that do not have this kit."""

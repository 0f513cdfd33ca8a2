"""How a step is started: in a container, a SIF file or a virtual environment."""

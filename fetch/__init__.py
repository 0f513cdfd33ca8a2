"""Get the data (`make fetch`): Kaggle's files, ClimSim's step files, statistics and checkpoints.

This package runs on the host, because the kit's containers have no network. Order to read:
`layout` (what belongs where), `steps` and `checks` (whether a file is whole), `inventory` (what
exists and what is missing); `competition` (Kaggle), `hub` (Hugging Face), `team` (statistics),
`drive` (checkpoints); `recognise` and `drop` (files that the user downloaded by hand). It imports
leapkit and the members' experiments; nothing imports it.
"""

"""Getting the data: Kaggle's files, ClimSim's step files, the team's statistics and checkpoints (`make fetch`).

A room of the host, as the kit's containers have no network. Order to read: `places` (what belongs where), `steps` and
`checks` (whether a file is whole), `inventory` (what is there and what is missing); `competition` (Kaggle), `hub`
(Hugging Face), `team` (statistics), `drive` (checkpoints); `recognise` and `drop` (files that came by hand).
Imports leapkit and the members' rows; nothing imports it.
"""

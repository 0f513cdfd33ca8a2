"""student: the kit's own small network, trained on what larger ones predict, on request only."""

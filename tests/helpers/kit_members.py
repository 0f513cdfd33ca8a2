"""The members that come with the kit. A checkout may hold more of its user's own (make member)."""

TEAM = ("adam", "forcewithme", "joseph", "max2020", "zuiye")
KIT = tuple(sorted((*TEAM, "student")))

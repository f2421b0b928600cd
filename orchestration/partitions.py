"""Which partitions of its parents an asset of day D names to Dagster: day D, on every edge.

Daily tables are read as history, every day through D. That is not told to Dagster as
a mapping on purpose: it would then take a backfill of one old day for one of all days
after it. It is kept instead: raw and marts of D bring every changed day before D along,
and the history's digest is part of the recipe of everything that reads it.
"""

import dagster as dg

SAME_DAY = dg.TimeWindowPartitionMapping()

# Days of a backfill that one run takes of everything behind the marts: as many as a run that dies may cost.
DAYS_PER_RUN = 7

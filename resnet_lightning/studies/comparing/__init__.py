"""Is one experiment better than another? Runs of both over the same seeds, how their errors differ, a verdict."""

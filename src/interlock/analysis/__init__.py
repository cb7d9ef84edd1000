"""Is the candidate worse? Pure statistics: counters in, verdicts out; no clock, no randomness, no I/O.

`series` turns raw counters into exact increments, `presets` says which counters a metric is made of,
`plan` is what is to be judged, `evidence` holds the formulas, `gates` joins them into the evidence of one
attempt, and `report` puts it into words.
"""

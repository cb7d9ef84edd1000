"""What is wrong with a Rollout, and what its gates will be able to tell, before it begins. Pure.

`written` looks at the object alone, `series` at what Prometheus holds of the stable version, `traffic` at how
much of it there is; `forecast` reckons with it; `report` puts them together.
"""

"""What of NumPy and `scipy.special` works under which transform, found out by running it.

`python -m tools.coverage` prints the counts, `--write` writes `docs/coverage.md`. The rows are in `rows.csv`;
`probes.py` says what is run for each, `checks.py` what it must pass, `states.py` what is known of each public
function, `page.py` writes the page.
"""

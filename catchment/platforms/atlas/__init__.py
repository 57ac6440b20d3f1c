"""RIPE Atlas: which probes, for how much, scheduled, waited for and fetched. The sandbox serves the same API.

`client` is what can be asked of the API at an `endpoint`, through one `session` that turns `failures` into one line
each; `keys` finds the keys, `hiding` keeps them out of every text. `selecting` chooses probes, `costs` counts results
and credits, `limits` holds them against what an account may. `scheduling` posts measurements, `adopting` finds those
whose answer was lost, `reusing` checks those that are there already. `collecting` waits for results: `slices` cuts long
measurements, `looking` waits for one-offs and `gathering` for the others, `watching` and `statuses` know what the API
says of them, `fetching` makes files. `clock` is the server's time.
"""

"""RIPE Atlas: which probes, for how much, scheduled, waited for and fetched. The sandbox serves the same API.

`client` is what can be asked of the API at an `endpoint`, through one `session` that turns `failures` into one line
each; `keys` finds the keys, `hiding` keeps them out of every text. `selecting` chooses probes, `costs` counts results
and credits, `scheduling` defines and posts measurements (or trusts existing ones), `collecting` waits for results and
stores them.
"""

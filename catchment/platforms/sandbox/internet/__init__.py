"""The simulated Internet: which way packets go, what comes back, and what is true.

`announcing` says what is announced when, `routing` which way every network then sends packets, `simulation` what a
vantage point gets to see of it (`replies`), `truth` what really happens; `fibre` knows how long the ways are,
`addresses` how their routers are numbered and `router_names` how they are called.
"""

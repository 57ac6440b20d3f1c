"""The simulated Internet: which way packets go, what comes back, and what is true.

`announcing` says what BGP hears, `routing` which way every network then sends packets, `simulation` what a vantage
point gets to see of it (`replies`), `truth` what really happens; `addresses` knows how the routers on the way are
numbered and `router_names` how they are called.
"""

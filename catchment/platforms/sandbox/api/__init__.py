"""The API of RIPE Atlas, version 2, in front of an Internet.

`server` speaks HTTP over TLS, `exchange` is what goes in and out, `endpoints` answers, for the `keys` of an account. A
POST is read by `definitions` (in `fields`) and `sources`, judged by `acceptance`, held by the `ledger` of
`measurements` and written to the `journal`; `schedule` says when its results come, `results` and `messages` make them,
`participation` changes who takes part. What can be looked up is described by `metadata`, `probes` and `account`,
narrowed by `filters` and cut into pages by `listing`; `parameters` reads queries. `streaming` pushes results as they
arrive to those whose `subscriptions` want them.
"""

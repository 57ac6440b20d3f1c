"""The API of RIPE Atlas, version 2, in front of an Internet.

`server` speaks HTTP over TLS, `exchange` is what goes in and out, `endpoints` answers. A POST is read by `definitions`
and `sources`, judged by `acceptance`, held by the `ledger` of `measurements` and written to the `journal`; `schedule`
and `credits` say when its results come and what they cost, `results` and `messages` make them. `catalogue`, `listing`
(with `parameters`), `metadata` and `probes` are what can be looked up.
"""

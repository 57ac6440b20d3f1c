"""The API of RIPE Atlas, version 2, in front of an Internet.

`server` speaks HTTP over TLS, `exchange` is what goes in and out, `endpoints` answers. A POST is read by `definitions`
and `sources`, judged by `acceptance`, held by the `ledger` of `measurements` and written to the `journal`; `schedule`
says when its results come, `results` and `messages` make them. What can be looked up is described by `metadata`,
`probes` and `account`, narrowed by `filters` and cut into pages by `listing`; `parameters` reads queries.
"""

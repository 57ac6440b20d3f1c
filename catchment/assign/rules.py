"""The rules by which a site is named and a verdict given. An id never changes meaning; a new rule gets a new id."""

RULES: dict[str, str] = {
    # From an identity to a site; the first that speaks wins.
    "published-identity": "the operator publishes this identity for the site",
    "pattern-own-code": "the identity matches a pattern of the service, and its code is one of the site's own",
    "pattern-iata-town": "the identity matches a pattern, and its code is an airport of the site's town",
    "repaired-identity": "the identity is a few edits away from published ones of this site, and of no other",
    "code-not-listed": "the identity matches a pattern, but its code names no site of the service",
    "no-pattern-matches": "the identity matches no pattern of the service and no published identity",
    "nothing-to-match": "the service's file has neither patterns nor published identities",
    # From answers and failures to a verdict.
    "light-own-packet": "an answer that names the site came faster than light in fibre could bring it from there",
    "light-ping": (
        "a ping came back faster than that, though not in half the time of the answers, which all name this one site"
    ),
    "impossible-on-two-targets": (
        "the same on two targets or more, and some other place could reach them so fast: the vantage point is not "
        "where it says"
    ),
    "error-where-it-answers": "an error in place of an identity, from a service that always answers this query",
    "empty-where-it-answers": "no usable identity, from a service that always answers this query",
    "does-not-answer-this-query": "no identity, from a service whose file does not promise one to this query",
    "no-identity-asked": "the target answers pings or traceroutes; there is no result of a query for an identity",
    "dns-and-ping-silent": "neither DNS nor ping brought an answer",
    "ping-silent": "pings brought no answer; DNS was not asked",
    "ping-answers-dns-silent": "the target answers pings, but not DNS",
    "dns-silent": "DNS brought no answer; nothing else was asked",
    "could-not-send": "the vantage point could not send its queries",
    "unreadable": "what came back can be read by nobody",
    "asked-never-reported": "the vantage point was asked, and no result of it ever came",
}
"""Meaning of every rule, by id."""

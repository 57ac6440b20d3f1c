"""The rules by which a site is named and a verdict given. An id never changes meaning; a new rule gets a new id."""

RULES: dict[str, str] = {
    # From an identity to a site; the first that speaks wins.
    "published-identity": "the operator publishes this identity for the site",
    "pattern-own-code": "the identity matches a pattern of the service, and its code is one of the site's own",
    "pattern-iata-town": "the identity matches a pattern, and its code is an airport of the site's town",
    "pattern-unlocode-town": "the identity matches a pattern, and its code is the UN/LOCODE of the site's town",
    "pattern-place-near": (
        "the identity matches a pattern, and the place of its code is within 60 km of this site and near no other one"
    ),
    "override": "the service's file says of this identity, with a reason, that it names this site",
    "repaired-identity": (
        "the identity is a few edits away from published ones of this site, and of no other (one for every 8 "
        "characters; below 12 of them it must be no host's name)"
    ),
    "open-list-place": (
        "the identity matches a pattern, and its code names this place; nobody publishes all sites of the service"
    ),
    "reordered-identity": "the identity begins as a published one of this site, and has its end in another order",
    "code-of-no-hub": (
        "the identity matches a pattern, but its code may as well be a word: it is no airport where many services stand"
    ),
    "place-not-listed": "the identity matches a pattern, and its code names a place where the service lists no site",
    "code-not-listed": "the identity matches a pattern, but its code names no site of the service",
    "no-pattern-matches": "the identity matches no pattern of the service and no published identity",
    "nothing-to-match": "the service's file has neither patterns nor published identities",
    # From other witnesses to a site, where no identity was asked for or promised.
    "neighbour-of-site": (
        "in most traceroutes the last router, within 2 ms of the target, is one that the service's file knows there"
    ),
    "hop-name": (
        "in most traceroutes the name of the last router, within 2 ms of the target, holds the town of this site"
    ),
    "exchange-of-site": (
        "in most traceroutes the last router, within 2 ms of the target, is at an exchange in the town of this site"
    ),
    "only-feasible-site": "light could have come back so fast from no other site of the service",
    "witnesses-agree": "the last router before the target and light both name this site",
    "witnesses-disagree": "what is known of the last router before the target names different sites",
    # From answers and failures to a verdict.
    "class-mismatch": "the answer is in another class than the question: somebody else gave it",
    "light-own-packet": (
        "more than a tenth of the answers that name the site came faster than light in fibre could bring them"
    ),
    "faster-than-ping": "an answer faster than light, and than half of what pings take: a box on the way gave it",
    "light-ping": (
        "a ping came back faster than light could bring it from the site that all answers name, or from any other"
    ),
    "impossible-on-two-targets": (
        "answers of two targets or more came faster than light could bring them, and some other place could be reached "
        "so fast from all: the vantage point is not where it says"
    ),
    "error-where-it-answers": "an error in place of an identity, from a service that always answers this query",
    "empty-where-it-answers": "no usable identity, from a service that always answers this query",
    "does-not-answer-this-query": "no identity, from a service whose file does not promise one to this query",
    "no-identity-asked": "the target answers pings or traceroutes; there is no result of a query for an identity",
    "dns-and-ping-silent": "neither DNS nor ping brought an answer",
    "ping-silent": "pings brought no answer; DNS was not asked",
    "traceroute-silent": "the target answered no traceroute, as many hosts do not; nothing else was sent",
    "ping-answers-dns-silent": "the target answers pings or traceroutes, but not DNS",
    "dns-and-traceroute-silent": (
        "DNS brought no answer, and the target answered no traceroute, as many hosts do not; no ping was sent"
    ),
    "dns-silent": "DNS brought no answer; nothing else was asked",
    "could-not-send": "the vantage point could not send its queries",
    "unreadable": "what came back can be read by nobody",
    "asked-never-reported": "the vantage point was asked, and no result of it ever came",
}
"""Meaning of every rule, by id."""

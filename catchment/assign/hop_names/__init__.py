"""The place in the reverse name of a router: which of a service's sites it points to.

`codes` holds what operators write for the hubs of the Internet, `reading` finds such words in a name. Only the sites of
the service can be found, and that is what makes it precise: a word that is no place of the service is none.
"""

from catchment.assign.hop_names.reading import HopNameReader, NamedSite, sites_in_name

__all__ = ["HopNameReader", "NamedSite", "sites_in_name"]

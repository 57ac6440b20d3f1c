"""Real BGP (BIRD), real DNS (NSD) and real packets in network namespaces of this host."""

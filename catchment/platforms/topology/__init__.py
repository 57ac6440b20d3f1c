"""An Internet as data: networks at places, links, anycast services, vantage points. Sandbox and lab read the same one.

`elements` are the parts, `files` reads and writes them as TOML, `world` generates the default one, `hosting` puts an
anycast service into it; `epochs` says what then happens to its services, `fibre` how long the cables are.
"""

from catchment.platforms.topology.elements import Topology
from catchment.platforms.topology.files import load_topology, topology_text, write_topology
from catchment.platforms.topology.hosting import add_site, host
from catchment.platforms.topology.world import make_world

__all__ = ["Topology", "add_site", "host", "load_topology", "make_world", "topology_text", "write_topology"]

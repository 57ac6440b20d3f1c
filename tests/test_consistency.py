"""Whether what is asked fits a topology."""

from __future__ import annotations

from pathlib import Path

import pytest

from catchment.errors import InvalidFile
from catchment.model import Target
from catchment.platforms.topology import load_topology
from catchment.platforms.topology.consistency import check_targets

TOPOLOGY = """name = "written by hand"
[[services]]
name = "x"
asn = 64496
addresses = ["192.0.2.53", "2001:DB8:53:0::53"]
answers = []
sites = []
"""


def test_an_address_is_the_same_however_the_topology_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "topology.toml"
    file.write_text(TOPOLOGY)
    topology = load_topology(file)
    assert topology.services[0].addresses == ("192.0.2.53", "2001:db8:53::53")
    check_targets(topology, [Target(service="x", address=address) for address in ("2001:db8:53::53", "192.0.2.53")])


@pytest.mark.parametrize(
    ("service", "known"), [("x", "'x', which has 192.0.2.53, 2001:db8:53::53"), ("y", "'y', which has none")]
)
def test_a_target_must_be_an_address_of_its_service(tmp_path: Path, service: str, known: str) -> None:
    file = tmp_path / "topology.toml"
    file.write_text(TOPOLOGY)
    with pytest.raises(InvalidFile) as caught:
        check_targets(load_topology(file), [Target(service=service, address="192.0.2.54")])
    assert str(caught.value) == (
        f"in the topology 'written by hand' 192.0.2.54 is no address of {known}: mend the topology or the service"
    )

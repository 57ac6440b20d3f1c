"""The sandbox by itself: its API for others, its topology as a file."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from catchment.campaign import Sandbox
from catchment.errors import InvalidFile
from catchment.metrics import Numbers
from catchment.model import Service
from catchment.platforms.atlas.key_sources import VARIABLES, find_keys
from catchment.platforms.connecting import CA_FILE, SERVER, SPEED, build_topology, simulate
from catchment.platforms.sandbox import FAULTS, find_faults, open_sandbox
from catchment.platforms.topology import write_topology
from catchment.services import bundled_service, service_names
from catchment.workflow.planning import load_plan


@contextmanager
def serve_sandbox(
    campaign: Path | None,
    folder: Path,
    *,
    port: int,
    speed: float,
    environ: Mapping[str, str],
    faults: Sequence[str] = (),
    fault_seed: int = 1,
) -> Iterator[Numbers]:
    """Serve the sandbox of a campaign, or one with all bundled services; yield how clients find it.

    Its certificate authority and its key (the environment's, or one made for it) are files in `folder`; the key itself
    is never told. `faults` names what is to go wrong. Raises PlatformFailed where the port is in use, UnknownName where
    there is no such fault.
    """
    wrong = [fault.name for fault in find_faults(faults)]
    sandbox, services = _sandbox_of(campaign)
    internet = simulate(sandbox, services)
    given = find_keys({name: environ[name] for name in VARIABLES if name in environ}).create
    key = secrets.token_hex(16) if given is None else given.value
    with open_sandbox(
        internet,
        start=time.time(),
        speed=speed,
        services=services,
        folder=folder,
        port=port,
        key=key,
        faults=wrong,
        fault_seed=fault_seed,
    ) as served:
        key_file = folder / f"key-{served.server.rpartition(':')[2]}"
        key_file.unlink(missing_ok=True)
        key_file.touch(mode=0o600)
        key_file.write_text(key + "\n", encoding="ascii")
        try:
            yield {
                "server": served.server,
                "stream_server": served.stream_server,
                "ca_file": str(served.ca_file),
                "key_file": str(key_file),
                "speed": speed,
                "services": [service.name for service in services],
                "faults": wrong,
                "environment": {
                    SERVER: served.server,
                    CA_FILE: shlex.quote(str(Path(served.ca_file).absolute())),
                    SPEED: f"{speed:g}",
                    # Both: the user's own key for fetching would be shown to the sandbox, which does not know it.
                    **dict.fromkeys(VARIABLES[:2], f"$(cat {shlex.quote(str(key_file.absolute()))})"),
                },
            }
        finally:  # both are of no use to anybody now
            key_file.unlink(missing_ok=True)
            Path(served.ca_file).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()


def list_faults() -> Numbers:
    """Return what can go wrong in a sandbox on wish: names, each with a line that says what."""
    return {"faults": [{"name": fault.name, "about": fault.about} for fault in FAULTS.values()]}


def save_topology(campaign: Path | None, out: Path) -> Numbers:
    """Write the topology of a campaign's sandbox, or one with all bundled services; return the file's name."""
    sandbox, services = _sandbox_of(campaign)
    if out.suffix != ".toml":
        raise InvalidFile(f"{out}: a topology is a TOML file: end its name with .toml")
    write_topology(build_topology(sandbox, services), out)
    return {"files": [str(out)]}


def _sandbox_of(campaign: Path | None) -> tuple[Sandbox, Sequence[Service]]:
    if campaign is None:
        return Sandbox(), [bundled_service(name) for name in service_names()]
    plan, services, _ = load_plan(campaign)
    return plan.sandbox, services

"""Bring the bundled files of the thirteen root letters up to the lists that their operators publish.

    python benchmarks/make_root_services.py FOLDER

FOLDER holds `root-a-….json` to `root-m-….json`, as fetched from https://root-servers.org/root/A/json/ and so on. What
stands before `sites` in a file (comments, addresses, patterns, corrections, …) is written by hand and stays as it is;
the day of its sources has to be set by hand too. A file with a correction of what its list says no more is left alone,
and the correction told: take it out by hand. Doing so again with the same lists changes nothing.
"""

from __future__ import annotations

import argparse
import datetime
import json
from dataclasses import replace
from pathlib import Path

from catchment.campaign import load_uncorrected, service_to_toml
from catchment.services.root_list import Merged, merge_list, read_list

SERVICES = Path(__file__).parent.parent / "catchment" / "services"
LETTERS = "abcdefghijklm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for letter in LETTERS:
        newest = max(folder.glob(f"root-{letter}-*.json"))
        file = SERVICES / f"{letter}-root.toml"
        merged = bring_up(file, newest)
        print(f"{letter}: {newest.name}, {told(merged)}")
        for correction in merged.corrections_dropped:
            print(f"  NOT WRITTEN: take out the correction of {correction}")


def bring_up(file: Path, newest: Path) -> Merged:
    published = read_list(json.loads(newest.read_text(encoding="utf-8")))
    merged = merge_list(load_uncorrected(file), published, on=published.updated or datetime.date.today())
    if merged.corrections_dropped:
        return merged
    head, _, _ = file.read_text(encoding="utf-8").partition("sites = [\n")
    bare = service_to_toml(replace(merged.service, sites=()))
    sites = service_to_toml(merged.service)[len(bare) :]
    file.write_text(head + sites, encoding="utf-8")
    return merged


def told(merged: Merged) -> str:
    sites = merged.service.sites
    return (
        f"{len(sites)} sites ({len(merged.added)} new, {len(merged.closed)} closed, {len(merged.reopened)} reopened, "
        f"{len(merged.moved)} moved), {sum(len(site.identities) for site in sites)} identities "
        f"(+{len(merged.identities_added)}, -{len(merged.identities_gone)}), "
        f"addresses that the file lacks: {', '.join(merged.addresses) or 'none'}"
    )


if __name__ == "__main__":
    main()

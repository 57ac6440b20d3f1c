"""Campaign and service files: TOML in, frozen values out. Unknown keys are errors that name the nearest known key.

`plans` says what a campaign is; `campaign_files` and `service_files` read and check both kinds of file, with `tables`;
`service_text` writes a service down, in `toml_text`.
"""

from catchment.campaign.campaign_files import campaign_from, campaign_table, load_campaign
from catchment.campaign.plans import (
    Anchors,
    Asked,
    Budget,
    Campaign,
    CampaignTarget,
    Change,
    ChangeName,
    Lab,
    LeaveOut,
    Limits,
    Local,
    PlatformName,
    Protocol,
    Query,
    Sandbox,
    Schedule,
    VantagePoints,
)
from catchment.campaign.service_files import (
    SAME_NAME_KM,
    Lend,
    apart_km,
    corrected,
    corrected_site,
    digest,
    doubled_towns,
    load_service,
    load_uncorrected,
    service_from,
    service_table,
)
from catchment.campaign.service_text import service_to_toml
from catchment.campaign.tables import check, plain, read_toml

__all__ = [
    "SAME_NAME_KM",
    "Anchors",
    "Asked",
    "Budget",
    "Campaign",
    "CampaignTarget",
    "Change",
    "ChangeName",
    "Lab",
    "LeaveOut",
    "Lend",
    "Limits",
    "Local",
    "PlatformName",
    "Protocol",
    "Query",
    "Sandbox",
    "Schedule",
    "VantagePoints",
    "apart_km",
    "campaign_from",
    "campaign_table",
    "check",
    "corrected",
    "corrected_site",
    "digest",
    "doubled_towns",
    "load_campaign",
    "load_service",
    "load_uncorrected",
    "plain",
    "read_toml",
    "service_from",
    "service_table",
    "service_to_toml",
]

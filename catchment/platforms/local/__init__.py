"""This host as a vantage point: packets made and read by scapy, timed by the kernel, stored as RIPE Atlas does."""

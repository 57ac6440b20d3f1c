"""What this host reaches: `looking` is the verb, `inquiring` what it asks, `telling` the numbers, `tracing` the way."""

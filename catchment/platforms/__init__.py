"""The one seam: where measurements come from. Platforms record facts, they do not interpret.

`topology` describes an Internet with anycast services in it; `sandbox` simulates one behind a RIPE Atlas API on
loopback; `atlas` measures through the RIPE Atlas API, the real one or the sandbox's.
"""

"""Labs: measure in one (`measuring`, with `streaming` while its routes change), keep one up, and tell its story.

`routing` is what its routers say; `keeping` and `tending` are labs that stay up, `changing` changes them; `stories`,
`summing_up` and `happenings` tell what happened.
"""

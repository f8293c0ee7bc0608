"""Marks on what fsh draws: a watermark in the pixels, and a signed C2PA manifest in the file.

In reading order:

- ``watermark``: what the watermark is, and putting it into frames.
- ``watermark_code``: the error-correcting code that carries its 32 bits.
- ``watermark_detection``: reading it from a clip.
- ``signing``: the key and certificates that files are signed with.
- ``refusals``: a full disk and the like, which c2pa does not name.
- ``media_types``: which files can be signed, and which have their manifest beside them.
- ``manifest``: writing and verifying C2PA manifests.
"""

"""From a list of URLs to tar shards of faces, and from users' photos and videos to the same faces.

The rooms, in the order in which data passes them:

- ``ingest``: lists of URLs and files to stored videos.
- ``media``: video and picture files: probing, decoding, shots, encoding.
- ``faces``: detection, landmarks, tracking, crops, embeddings, pose, scores.
- ``dataset``: stored videos to shards: the Beam graph, filters, identities, splits.
- ``inputs``: photos, drivers and paste-back targets of users, prepared as the videos were.
- ``erasure``: removing a person or a video from everything that was made of it.
- ``provenance``: watermark and signed manifest of what is drawn.

Beside them: ``engine`` (Beam, and where it runs), ``sandbox`` (crash-proof child processes;
``sandbox_answers`` is what they send, ``core_time`` whether they had a core), ``local_connections``
(no proxy on this machine), ``locks``, ``pages`` (what a browser shows) and ``tombstones`` (what was
erased and must not come back).
"""

"""What is on disk and what passes between the parts. Needs only pyarrow, numpy and the stdlib.

In the data's order:

- names and places: :mod:`urls`, :mod:`ids`, :mod:`layout`, :mod:`span_layout`
- what was asked for and who agreed to it: ``Source`` in :mod:`records`, :mod:`consent`
- how faces are cropped and landmarked: :mod:`spec`, :mod:`landmarks`, :mod:`mesh` and
  :mod:`mesh_triangles`; in memory: :mod:`face_landmarks`, :mod:`clip`
- what became of every face track: ``Clip`` in :mod:`records`; as Parquet: :mod:`tables`,
  of older versions: :mod:`table_versions`; many rows of them: :mod:`table_rows`
- the shards: :mod:`sample` (member names and contents), :mod:`sample_info` (its JSON), :mod:`tar`
  and :mod:`npy` (bytes); their description: :mod:`card`, in the words of :mod:`croissant`,
  and :mod:`dataset_readme`
- runs and recognisers: :mod:`run_pictures`, :mod:`trained_on`, :mod:`recognizer`, :mod:`weights`
- live sessions: :mod:`live`
- where may be written, by whom: :mod:`outputs`, :mod:`folder_kinds`, :mod:`locks`,
  :mod:`temporary`, :mod:`disk`; in object stores: :mod:`stores`, :mod:`leases`, and
  :mod:`local_copies` of what lies there; how much of the machine: :mod:`machine`
- for everybody: :mod:`errors`, :mod:`progress`, :mod:`text` (names as they are shown),
  :mod:`plain` (values as JSON and back, checked), :mod:`conditions` (on the labels of lists)
"""

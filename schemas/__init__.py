"""What is on disk and what passes between the parts. Needs only pyarrow, numpy and the stdlib.

- names: :mod:`urls`, :mod:`ids`; where things lie: :mod:`places`
- who agreed to what: :mod:`consent`
- :mod:`faces`: how they are cropped and landmarked
- :mod:`tables`: what became of every video and every face track; :mod:`shards`: the samples
- runs and recognisers: :mod:`run_pictures`, :mod:`trained_on`, :mod:`recognizer`, :mod:`weights`
- live sessions: :mod:`live`
- how much of the machine there is: :mod:`machine`; where its time went: :mod:`throughput`
- for everybody: :mod:`errors`, :mod:`progress`, :mod:`text` (names as they are shown),
  :mod:`plain` (values as JSON and back, checked)
"""

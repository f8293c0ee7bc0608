"""Taking videos and people out of a data folder for good.

In the order of an erasure:

- :mod:`plan` finds out what is meant
- :mod:`erase` writes the tombstones and starts :mod:`removal`, which takes clips out of shards with
  :mod:`shard_rewriting`; :mod:`clip_tars` says where the clips' own tars lie
- :mod:`search` looks whether anything is left
- :mod:`derived` does the same for what lies outside the data folder: runs, pictures, persons
"""

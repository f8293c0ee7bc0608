"""From stored videos to a data set: what ``fsh shard`` does, and ``fsh inspect`` shows.

In the data's order:

- :mod:`config`: every setting; :mod:`sources`: which videos there are to work on
- :mod:`spans`: stretches of them, each to clips and scores
- :mod:`settling`: which clips are kept, who they show, which shard each lies in
- :mod:`shards`: the planning and writing of shards; :mod:`finish`: table, card and report;
  :mod:`accounting`: where every second went, kept, or rejected with a reason;
  :mod:`throughput`: where the time of the runs went
- :mod:`graph`: all of that in order, the heavy steps of it (:mod:`workers`) on Beam
- :mod:`pages`: the result to look at; :mod:`integrity`: whether it is what its card says
"""

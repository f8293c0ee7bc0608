"""From stored videos to a data set: what ``fsh shard`` does, and ``fsh inspect`` shows.

In the data's order:

- :mod:`config`: every setting; :mod:`sources`: which videos there are to work on
- :mod:`spans`: their division into stretches, the units of work
- :mod:`span_analysis`: one span to clips and scores, in a sandbox (:mod:`span_worker`);
  :mod:`cropping`: its second decode; :mod:`clip_storage`: landmarks, scores and samples of a clip;
  :mod:`later_scores`: scores made of what is stored; from stored crops: :mod:`relandmarking`,
  :mod:`upgrading` (of older versions); :mod:`span_progress`: how far it has come
- :mod:`span_store`: what is stored of finished and failed spans; :mod:`span_packs`: of many at once
- :mod:`selection`: which clips are kept (:mod:`filters`), which show the same footage
  (:mod:`duplicates`), whose faces are close (:mod:`neighbours`) and who they show
  (:mod:`identity`), which
  identity and split each gets (:mod:`assignment`), which shard each lies in
- :mod:`accounting`: where every second went: kept, or rejected with a reason
- :mod:`shards`: the writing of shards; :mod:`finish`: table, card and report
- :mod:`graph`: all of that in order, the heavy steps of it (:mod:`workers`) on Beam;
  :mod:`accounting`: where every second went
- :mod:`contact_sheet`: the result as a page, of :mod:`clip_pictures` and what :mod:`browsing`
  finds; :mod:`integrity`: whether it is what its card says
"""

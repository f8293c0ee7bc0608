"""Spans: stretches of videos, the units of work; each once, whatever happens.

- :mod:`division`: which there are
- :mod:`analysis`: one span to clips and scores, in a sandbox (:mod:`worker`);
  :mod:`cropping`: its second decode; :mod:`clip_storage`: landmarks, scores and samples of a clip
- what need not be decoded again: :mod:`later_scores`, scores made of what is stored;
  :mod:`relandmarking` from stored crops; :mod:`upgrading` of older versions
- :mod:`progress`: how far a span has come; :mod:`stages`: where the time of it goes
- :mod:`store`: what is stored of finished and failed spans; :mod:`packs`: of many at once;
  :mod:`copies`: where they are worked on if that is in an object store
"""

"""Where work runs: on this machine, on an engine of Apache Beam's, or as parts side by side.

- :mod:`runner`: which engine, and how a graph is run on it; :mod:`dask_cluster` and
  :mod:`portable`: what Dask and the portable runners need besides
- :mod:`failures`: whatever an engine raises, in one line
- :mod:`ticket`: what a worker must have in common with the command that started the run
- :mod:`stop_signal`: how a run ends its workers, wherever they are
- :mod:`idle_pool`: what is dear to start and is kept between the bundles of one process
  (:mod:`sandboxes`)
- :mod:`parts`: a share of the work, for array jobs
"""

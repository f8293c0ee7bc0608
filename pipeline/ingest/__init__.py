"""From lists to stored videos and the ledger of where each came from.

In the data's order:

- what lists ask for: :mod:`lists`, of which some are :mod:`wanted`
- how to ingest, and what a run would do: :mod:`options`, :mod:`site_options`, :mod:`plan`
- one video: :mod:`fetch` tries it, keeping to :mod:`rate_limit` and :mod:`addresses`;
  :mod:`retrieval` gets the file from the disk, by :mod:`download`, :mod:`connections` and
  :mod:`transfer`, or by :mod:`sites` and :mod:`ytdlp`, or a part of it by :mod:`range_copy`;
  :mod:`prober` and :mod:`licenses` decide whether it is let in; :mod:`storage` gives it its name
- what became of it: :mod:`failures`, :mod:`journal` in :mod:`journal_files`, :mod:`ledger`,
  :mod:`report`
- the run: :mod:`run` is the graph of :mod:`workers`; :mod:`progress` shows it
"""

"""From lists to stored videos and the ledger of where each came from.

In the data's order:

- what lists ask for: :mod:`lists` recognises a list's shape, :mod:`list_tables` and :mod:`hdtf`
  read tables and HDTF's sets; all give :mod:`requests`
- how to ingest, and what a run would do: :mod:`options`, :mod:`plan`
- one video: :mod:`fetch` tries it, keeping to :mod:`rate_limit` and :mod:`addresses`;
  :mod:`retrieval` gets the file from the disk, by :mod:`download`, or by :mod:`sites` and
  :mod:`ytdlp`; :mod:`prober` and :mod:`licenses` decide whether it is let in; :mod:`storage`
  gives it its name
- what became of it: :mod:`failures`, :mod:`journal`, :mod:`ledger`, :mod:`report`
- the run: :mod:`run` is the graph of :mod:`workers`; :mod:`progress` shows it
"""

"""What became of every video and every face track.

:mod:`records`: ``Source`` and ``Clip``, one row each; as Parquet: :mod:`parquet`, of older
versions: :mod:`versions`; many rows of them: :mod:`rows`. :mod:`conditions`: on the labels that
lists give videos.
"""

"""What became of every video and every face track.

:mod:`records`: ``Source`` and ``Clip``, one row each; :mod:`columns`: what those of tables mean;
:mod:`parquet`: tables in files, of older versions: :mod:`versions`, many rows of them: :mod:`rows`.
:mod:`conditions`: on the labels that lists give videos.
"""

"""The data set's shards, as plain functions and plain files.

:mod:`plans`: which clip lies in which; :mod:`writing`: the writing of them; :mod:`notes`: what is
known of written ones.
"""

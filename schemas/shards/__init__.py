"""The shards of a data set and its description.

:mod:`sample`: names and contents of a sample's members; :mod:`sample_info`: its JSON; :mod:`tar`
and :mod:`npy`: their bytes. :mod:`card`: the data set's description, in the words of
:mod:`croissant`, and :mod:`dataset_readme`, as a page.
"""

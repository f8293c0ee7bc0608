"""From lists of any shape to requests.

:mod:`reading` recognises a list's shape, whose text is unpacked by :mod:`texts`; :mod:`folders`
finds the videos of a folder. :mod:`tables`, :mod:`json_lists`, :mod:`vox_tracks` and :mod:`hdtf`
read tables, JSON (whose rows :mod:`json_rows` finds), VoxCeleb's tree and HDTF's sets, mostly as
:mod:`records`: by the names in :mod:`columns`, on one level by :mod:`nesting`, with :mod:`ranges`
and :mod:`boxes`. All give :mod:`requests`.
"""

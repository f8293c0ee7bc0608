"""The commands: one file each. Heavy imports happen inside them, so `fsh --help` is instant.

``app`` is the program, how it begins and ends (``stopping``: on being asked; ``streams``: whatever
it was given for its input and output), ``commands`` puts the commands together, ``options`` has
those options that several of them share, and ``console`` prints settings, progress, results and
errors. The commands: ``ingest``, ``shard``,
``inspect``, ``train``, ``personalize``, ``animate``, ``live``, ``evaluate``, ``export``,
``verify``, ``forget``; ``demo`` (all of it on sample clips) and ``doctor`` (whether this machine
has what fsh needs).
"""

"""Films: what ``fsh animate`` does.

:mod:`animate`: films of one or several people; :mod:`making` makes one as :mod:`options` say,
:mod:`frames` its frames.
"""

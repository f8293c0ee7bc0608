"""Runs: what ``fsh train`` does.

:mod:`run`: one run; :mod:`processes` starts several processes for it, and :mod:`process` is what
each does.
"""

"""What is decided once all spans are done: :mod:`selection` asks the others in turn.

:mod:`filters`: which clips are kept; :mod:`duplicates`: which show the same footage;
:mod:`identity`: who they show, and :mod:`neighbours`: whose faces are close; :mod:`assignment`:
which identity and split each gets.
"""

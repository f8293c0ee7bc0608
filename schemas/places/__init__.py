"""Where things lie, and where may be written, by whom.

:mod:`layout`: a data folder, :mod:`span_layout`: a span's, :mod:`run_layout`: runs and people;
:mod:`outputs`: what a command may write over; :mod:`folder_kinds`: whose folder it is;
:mod:`locks`, :mod:`temporary`, :mod:`disk`. In object stores: :mod:`stores`, :mod:`numbered` for
what several change, :mod:`leases` for locks, and :mod:`local_copies` of what lies there.
"""

"""The paper's tables: what ``fsh evaluate`` does.

:mod:`comparison`: systems against one another, as :mod:`options` say; :mod:`frames_folder`: frames
that are not of a data set; :mod:`unseen_people`: whom the runs saw; :mod:`report` and
:mod:`user_study`: what it writes.
"""

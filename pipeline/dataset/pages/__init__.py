"""A data set as a page: :mod:`contact_sheet`, of :mod:`clip_pictures` and what :mod:`browsing`
finds."""

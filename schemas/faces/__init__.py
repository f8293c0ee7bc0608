"""How faces are cropped and landmarked.

:mod:`spec`: crop and landmark backend of a data set; :mod:`landmarks`: 68 points; :mod:`mesh` and
:mod:`mesh_triangles`: 478 with depth; in memory: :mod:`face_landmarks` and :mod:`clip`, a face's
frames with them.
"""

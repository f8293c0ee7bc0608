"""Faces in pictures and videos: found, followed, landmarked, cropped, identified and scored.

In reading order:

- ``detection``: where faces are in one image (dlib).
- ``landmarks``: the protocol of landmark backends, and the face box that landmarks imply.
- ``dlib_landmarks``, ``mediapipe_landmarks``, ``fan``: the backends; ``backends``: choosing and
  loading one.
- ``face_mesh``: MediaPipe's 478 points, of which ``mediapipe_landmarks`` takes 68;
  ``several_looks``: the mean of several runs.
- ``crop``: the crop window around a head, the crop, and coordinates in it; ``edge_fill``: what a
  crop shows beyond its picture's edge.
- ``search``: faces in a video's frames without searching every frame in full.
- ``appearance_search``: the same, with the exact first and last frame of each appearance.
- ``tracking``: detections linked to tracks, tracks cut into clips with one crop window each.
- ``embedding``: identity embeddings; ``embedding_network``: dlib's network in NumPy.
- ``arcface``: identity embeddings by ArcFace, where its weights are present.
- ``pose``: yaw, pitch and roll from landmarks.
- ``scores``: sharpness, motion and the other scores of a track; ``sync``: whether a voice is the
  face's; ``overlaid_text``: captions over it; ``motion_print``: by what footage is known again.
"""

"""What users hand in: photos of a person, drivers, and pictures to paste a drawing back into.

Photos and videos are cropped and landmarked here exactly as the training videos were. In reading
order:

- ``photo_folder``: which files of a folder are photos, and why the others are not.
- ``photo_faces``: every face in one photo, cropped and landmarked.
- ``photo_choice``: which of these faces is the person's, and photos of somebody else.
- ``photos``: a person's photos as a :class:`~fsh.schemas.faces.clip.FaceClip`.
- ``video_stills``: frames of a video that serve as photos.
- ``driver``: the landmarks that drive a person, from a video, a folder or a stored track.
- ``driver_faces``: who is where in a driver, and who drives.
- ``live_face``: the same from a camera, frame by frame.
- ``landmark_track``: stored tracks of landmarks.
- ``preflight``: what is difficult about a driver.
- ``paste_back``: a drawing blended into the full picture.
- ``input_name``: what a person or film is called by photos or driver.
"""

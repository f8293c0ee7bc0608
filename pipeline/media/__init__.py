"""Video and picture files: what they are, their frames, times and sound, and writing a video.

Nothing here knows of faces. In reading order:

- ``ffmpeg``: which ffmpeg executable runs.
- ``suffixes``: file name endings of videos and pictures.
- ``clock``: which stream is shown, where a file's time begins and ends.
- ``probe``: what a file is by its content, and which files are accepted; ``joined_files``: whether
  another recording is hidden behind its end; ``no_video``: what a file is instead.
- ``one_clock``: a copy with one time, of files whose time runs back.
- ``color_tags``: which colours numbers mean; ``color_filters``: any of them as standard RGB.
- ``decode``: frames with exact times, through ffmpeg, whose ``frame_log`` it reads;
  ``deinterlacing``: of half pictures whole ones; ``regions``: parts of a frame.
- ``clip_sound``: the sound of a stretch, on the same clock.
- ``shots``: where a video cuts or fades.
- ``media_kind``: picture or video, by the first bytes.
- ``pictures``: picture files as RGB arrays; ``deep_pictures``: those of more than eight bits,
  scaled by ``value_range``; ``color_profiles``: any colour space to sRGB.
- ``animated_pictures``: pictures of several frames.
- ``footage``: a video, an animated picture or a folder of pictures behind one interface.
- ``voice``: who speaks when, and how loud.
- ``containers``: the formats of films; ``sound``: what becomes of a driver's sound in each.
- ``encode``: writing a video with a time for each frame; ``picture_files``: as PNG files.
"""

"""``fsh live``: a page on this machine whose camera moves people, frame by frame.

In reading order:

- ``live``: the function, from options to a served page.
- ``access``: who may talk to the server; ``server``: what it answers.
- ``page_connection``: one page's socket; ``messages``: what is said on it; ``outbox``: what is on
  its way to the page; ``studio``: what all pages share. The page itself is in ``page/``.
- ``session``: camera frames in, drawings out; ``mailbox``: the newest frame wins;
  ``timing``: where the time goes.
- ``cast``: the people, loaded and marked; ``new_person``: one more, out of the page's photos.
- ``recording`` and ``virtual_camera``: out to others; ``browser_video``: in from a file.
"""

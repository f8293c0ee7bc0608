"""One person: from a handful of photos to a folder that can be drawn from landmarks.

In reading order:

- :mod:`~fsh.trainer.person.person`: the person and its folder; drawing.
- :mod:`~fsh.trainer.person.motion_transfer`: a driver's landmarks on the person's face shape.
- :mod:`~fsh.trainer.person.mesh_transfer`: the same with meshes, in three dimensions.
- :mod:`~fsh.trainer.person.live_motion`: both for a driver whose faces come one by one.
- :mod:`~fsh.trainer.person.photo_tensors`: photos as the networks take them.
- :mod:`~fsh.trainer.person.photo_references`: photos to copy from, and which fit a frame.
- :mod:`~fsh.trainer.person.drawing`: faces as points to pictures.
- :mod:`~fsh.trainer.person.expressions`: eight expressions as landmarks.
- :mod:`~fsh.trainer.person.photo_augmentation`: copies of photos with other expressions, or moved.
- :mod:`~fsh.trainer.person.training_set`: what is trained on and what is held out.
- :mod:`~fsh.trainer.person.fine_tuning`: fine-tuning, step by step.
- :mod:`~fsh.trainer.person.drawing_quality`: identity similarity and motion fidelity of drawings.
- :mod:`~fsh.trainer.person.step_choice`: how many fine-tuning steps are best.
- :mod:`~fsh.trainer.person.personalize`: all of it, from photos to the folder.
- :mod:`~fsh.trainer.person.onnx_export`: a person as ONNX files.
"""

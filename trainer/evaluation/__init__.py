"""Evaluation: systems draw people never trained on, drawings are measured, a table compares them.

Two protocols. ``fsth`` is the paper's: self-reenactment, from T of 32 frames of a person, compared
with 32 other frames of theirs. ``modern`` is cross-reenactment: each person is driven with
another's consecutive frames, as users do, where there is no true picture to compare with.

In reading order:

- :mod:`~fsh.trainer.evaluation.subjects`: who is drawn; frames to learn from and to draw.
- :mod:`~fsh.trainer.evaluation.recognition`: whether a run was trained on them.
- :mod:`~fsh.trainer.evaluation.evaluated_system`: what a system does: learn from photos, draw.
- :mod:`~fsh.trainer.evaluation.baselines`: systems without a network.
- :mod:`~fsh.trainer.evaluation.alternatives`: other methods' runs as systems.
- :mod:`~fsh.trainer.evaluation.systems`: fsh's runs as systems; which systems a run enters.
- :mod:`~fsh.trainer.evaluation.metrics`: metrics of arrays, and their intervals.
- :mod:`~fsh.trainer.evaluation.metric_networks`: LPIPS, and FID's features.
- :mod:`~fsh.trainer.evaluation.settings`: protocol, sizes, seed, measuring networks.
- :mod:`~fsh.trainer.evaluation.results_store`: one system's drawings of one subject, on disk.
- :mod:`~fsh.trainer.evaluation.reenactment`: one subject in one protocol, drawn and measured.
- :mod:`~fsh.trainer.evaluation.evaluation`: every subject, system and number of photos.
- :mod:`~fsh.trainer.evaluation.results_table`: the numbers, with intervals over people.
"""

"""Embedder, generator and discriminator: meta-learning, personalisation, drawing, evaluation.

From the bottom: ``config`` and ``presets`` (what a run depends on), ``checkpoint`` (folders of
tensors), ``distributed`` (several processes), ``model_cards``, ``face_analyzer`` (the protocol of
what finds faces in drawings); the rooms ``data`` (shards to tensors) and ``models`` (networks);
``training`` (the loop that makes a run); ``runs`` (a finished run, opened); ``person`` (a run and
photos to a person, and its drawings); ``evaluation`` (people drawn, measured, compared).
"""

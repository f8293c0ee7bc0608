"""From shards to batches of episodes, and pictures to tensors. Knows no networks.

In reading order: ``plan`` (what a run will read), ``shard_index`` (where samples lie), ``decode``
(JPEGs), ``landmark_images`` (landmarks drawn), ``episode_frames`` (what an episode is made of),
``episodes`` (batches in a seeded order), ``loader`` (decoded ahead, by ``loader_processes``),
``pictures`` (uint8 to tensors and back), ``augmentation``.
"""

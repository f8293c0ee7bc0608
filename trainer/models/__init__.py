"""Networks: from tensors to tensors. Knows no losses, optimizers or devices.

In reading order: ``norms`` (spectral and instance normalisation), ``blocks``, ``networks`` (the
paper's E, G and D), ``rasterize``, ``thin_plate``, ``head_motion``, ``openings`` (mouth
and eyes), ``teeth`` (where they are), ``mouth_warp`` (how they have moved) and ``face_warp`` (a
photo bent to other landmarks), ``surroundings`` (how what is around a face has moved),
``inner_mouth`` (where places lie between the lips), ``mouth_paint`` (what paints them),
``face_colors`` (faces of other scenes), ``references`` (what G sees of photos), ``composition``
(pictures put together of them), ``video_embeddings`` (W), ``folded_generator`` (G for one person),
``x2face`` and ``pix2pixhd`` (the alternatives), ``vgg`` and ``face_features`` (networks of the
content loss).
"""

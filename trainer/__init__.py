"""Embedder, generator and discriminator: meta-learning, personalisation, drawing."""

"""A study for people: which of three pictures is the fake? The paper's USER."""

"""What is on disk and what passes between the parts. Needs only pyarrow, numpy and the stdlib."""

"""From a list of URLs to tar shards: the data's way, one module a step."""

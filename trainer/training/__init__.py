"""Meta-learning: from a data set and a configuration to a run's checkpoints.

In reading order: ``loop`` (the steps, one after the other), ``budget`` (how many), ``session`` and
``state`` (all that changes, and its checkpoints), ``resuming`` (how an older run goes on),
``episode_feed`` (batches onto the device),
``phases`` (a step's optimizer steps), ``methods`` (which networks and losses), ``objectives`` and
``losses`` (the adversarial maths), ``mouth_loss`` (of what is painted there), ``content`` (the
content loss's networks), ``compilation`` (``torch.compile``), ``watchdog`` (training that fails),
``damage`` (data that does not decode), ``run_records``, ``monitor``, ``sample_sheet`` and
``report`` (what a run writes and tells), ``signals`` (Ctrl-C), ``dry_run`` (what a run would do).

The loop knows no adversarial maths; the losses know no files.
"""

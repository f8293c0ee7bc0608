"""With which configuration a run goes on."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.text import shown
from fsh.trainer.checkpoint import Checkpoint, newest_sound
from fsh.trainer.config import LossConfig, NetworkConfig, TrainConfig

#: What makes it another run. All that these imply may have changed since it was begun.
_NAMES = ("preset", "method", "variant")


def config_to_go_on(
    run: Path, config: TrainConfig, asked: Collection[str], progress: Progress
) -> TrainConfig:
    """The configuration of a run that goes on: what is asked for, and the rest as it was begun.

    A preset's values and the fields of a configuration change from one version of fsh to the next,
    and nobody can name them on a command line. So what was not asked for stays as the run has it;
    what was asked for stays as asked, and :func:`~fsh.trainer.training.session.require_same_run`
    refuses it where it differs.

    Args:
        run: its folder; if there is no checkpoint the configuration is as it is.
        config: what the options make of today's presets.
        asked: flattened names of fields that options were given for.
        progress: is told what differs from what a new run would have.

    Raises:
        FshError: if the run's configuration has something that this version does not know.
    """
    found = newest_sound(RunFolder(run), lambda one: Checkpoint.read(one, ()), Silent())
    if found is None:
        return config
    begun = TrainConfig.from_json(found.state["config"], found.folder)
    kinds = [one.device.partition(":")[0] for one in (begun, config)]  # presets depend on it
    if len(set(kinds)) > 1 or any(getattr(begun, n) != getattr(config, n) for n in _NAMES):
        return config
    mine, theirs = _plain(config), _plain(begun)
    if "network.references" in asked and bool(begun.network.references) == bool(
        config.network.references
    ):  # how many photos is no option
        asked = set(asked) - {"network.references"}
    kept = [name for name in mine if name not in asked and mine[name] != theirs[name]]
    if kept:
        name = kept[0]
        more = f" (and {len(kept) - 1} more)" if len(kept) > 1 else ""
        progress.say(
            f"{shown(run)} goes on as it was begun, with {name} = {theirs[name]}{more}; "
            f"a new run would have {mine[name]}"
        )
    return _with_values(config, begun, kept)


def _plain(config: TrainConfig) -> dict[str, object]:
    found: dict[str, object] = json.loads(json.dumps(config.resume_fields()))
    return found


def _with_values(config: TrainConfig, begun: TrainConfig, names: Collection[str]) -> TrainConfig:
    """A configuration with some of its fields, by flattened name, as another one has them."""

    def of(part: TrainConfig | NetworkConfig | LossConfig, prefix: str) -> dict[str, object]:
        own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        return {name: getattr(part, name) for name in own if "." not in name}

    changed = replace(config, **of(begun, ""))  # type: ignore[arg-type]
    return replace(
        changed,
        network=replace(changed.network, **of(begun.network, "network.")),  # type: ignore[arg-type]
        loss=replace(changed.loss, **of(begun.loss, "loss.")),  # type: ignore[arg-type]
    )

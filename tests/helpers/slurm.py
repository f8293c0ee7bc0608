"""A real Slurm of one node for a test: its daemons are started by it and stopped with it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from clusters import environment, free_port, running, wait_until

_CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
ReturnToService=2
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def need_slurm() -> None:
    """Skip where Slurm is not installed, or could not be started as this user."""
    wanted = ("slurmctld", "slurmd", "sbatch", "munged")
    missing = [name for name in wanted if not shutil.which(name, path=_path())]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge")
    if os.getuid() != 0:
        pytest.skip("Slurm's daemons must be started as root here")


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which ``sbatch`` reaches a Slurm of this machine's."""
    need_slurm()
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    config = folder / "slurm.conf"
    config.write_text(
        _CONFIG.format(
            host=host,
            folder=folder,
            cpus=os.cpu_count(),
            controller_port=free_port(),
            node_port=free_port(),
        )
    )
    names = {"SLURM_CONF": str(config), "PATH": f"{environment()['PATH']}:/usr/sbin:/sbin"}
    socket_path = folder / "munge.socket"
    munged = ("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket_path}")
    munged += (f"--pid-file={folder / 'munge.pid'}", f"--seed-file={folder / 'munge.seed'}")
    with ExitStack() as stack:
        log = folder / "daemons.log"
        stack.enter_context(running(*munged, f"--log-file={folder / 'munged.log'}", log=log))
        wait_until(socket_path.exists, "munged")
        for command in (("slurmctld", "-D"), ("slurmd", "-D", "-N", host)):
            stack.enter_context(running(*command, log=log, **names))
        found = environment(**names)

        def is_idle() -> bool:
            shown = subprocess.run(
                ["sinfo", "-h", "-o", "%T"], env=found, capture_output=True, text=True
            )
            return "idle" in shown.stdout

        wait_until(is_idle, "Slurm's node")
        time.sleep(0.2)
        yield found

#!/usr/bin/env bash
# A SLURM of two nodes on this machine, for as long as a command runs:
#
#   tests/slurm.sh COMMAND ...               runs it where sbatch, srun, squeue and scancel work
#   tests/slurm.sh                           runs the checks at the end of this file: seven minutes on two cores
#   tests/slurm.sh --install [COMMAND ...]   first installs what is missing (as root, on Debian or Ubuntu)
#
# Nothing but a temporary folder is written to, and a SLURM that there is already neither used nor disturbed. Each node
# claims 8 cores, 64 GB and a GPU, whatever there really is, so that the files in experiments/clusters fit. What
# differs from most clusters: a requeued job waits for 5 s instead of 2 min. What can be tried:
#
#   scancel --signal=USR1 JOB                what `#SBATCH --signal=USR1@120` sends before the time limit
#   scancel JOB; scontrol requeue JOB        SIGTERM, and SIGKILL 15 s later
#   sbatch --partition=urgent ...            takes the nodes from other jobs, which get SIGTERM and 20 s to end in
#
# KEEP=1 keeps the folder with the daemons' logs. PYTHON is the python to run with, .venv/bin/python if there is one.
set -euo pipefail
PATH=$PATH:/usr/sbin
repository=$(cd "$(dirname "$0")/.." && pwd)
packages="slurmctld slurmd slurm-client munge"

missing() {
    for program in slurmctld slurmd srun munged; do
        command -v "$program" >/dev/null || return 0
    done
    return 1
}

if [ "${1-}" = --install ]; then
    shift
    if missing; then
        apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qqy install --no-install-recommends $packages
    fi >&2
fi
if missing; then
    echo "tests/slurm.sh: SLURM is missing: apt-get install $packages, or tests/slurm.sh --install" >&2
    exit 2
fi

# Daemons ####################################################################

folder=$(mktemp -d /tmp/slurm.XXXXXX)
chmod 755 "$folder" # munge's clients have to reach its socket
daemons=()

start() { # in a session of its own, since Ctrl-C is for the command; ends with this script, however that ends
    local name=$1
    shift
    setpriv --pdeathsig TERM setsid "$@" >"$folder/$name.out" 2>&1 </dev/null &
    daemons+=($!)
}

stop() {
    status=$?
    trap '' INT TERM
    set +e
    if [ ${#daemons[@]} -gt 0 ]; then
        timeout 10 scancel --user="$(id -un)" 2>/dev/null
        for _ in {1..20}; do
            [ "$(timeout 5 squeue --noheader 2>/dev/null)" ] || break
            sleep 1
        done
        kill "${daemons[@]}" 2>/dev/null
        wait "${daemons[@]}" 2>/dev/null
    fi
    if [ "${KEEP-}" ]; then echo "logs are in $folder" >&2; else rm -rf "$folder"; fi
    exit "$status"
}
trap stop EXIT
trap 'exit 143' TERM

waits() { # SECONDS COMMAND ...: until the command succeeds
    local seconds=$1
    shift
    for ((end = SECONDS + seconds; SECONDS < end; )); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.5
    done
    echo "tests/slurm.sh: waited $seconds s in vain for: $*" >&2
    return 1
}

free_ports() {
    python3 -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in sockets))'
}

read -r controller one two < <(free_ports)
mkdir "$folder/state"
cat >"$folder/slurm.conf" <<END
ClusterName=here
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$controller
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/%n.log

# No cgroups, no accounting, no MPI.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none

SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=15
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE

NodeName=DEFAULT CPUs=8 RealMemory=65536 Gres=gpu:1
NodeName=n1 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$one
NodeName=n2 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$two
PartitionName=normal Nodes=n1,n2 Default=YES MaxTime=INFINITE DefMemPerCPU=1024 GraceTime=20
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE DefMemPerCPU=1024 PriorityTier=2 PreemptMode=OFF
END
echo "Name=gpu File=/dev/null" >"$folder/gres.conf"
export SLURM_CONF=$folder/slurm.conf
unset "${!SLURM_JOB@}" "${!SBATCH_@}" # if this is itself run in a job of another SLURM

(umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
start munged munged --foreground --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
    --pid-file="$folder/munge.pid" --log-file="$folder/munge.log" --seed-file="$folder/munge.seed"
waits 10 test -S "$folder/munge.socket"
start slurmctld slurmctld -D -f "$SLURM_CONF"
start n1 slurmd -D -N n1 -f "$SLURM_CONF"
start n2 slurmd -D -N n2 -f "$SLURM_CONF"
idle() { [ "$(sinfo --noheader --partition=normal --states=idle --format=%D)" = 2 ]; }
waits 30 idle || {
    grep -hE "error|fatal|INVAL" "$folder"/*.log "$folder"/*.out | sort -u >&2
    exit 1
}

# Both nodes are this machine, and their names are known to SLURM alone: Lightning would look for its first process at
# the host n1.
export MASTER_ADDR=127.0.0.1

if [ $# -gt 0 ]; then
    "$@"
    exit
fi

# Checks #####################################################################
# A run on both nodes (gloo in place of NCCL), and a study as an array: whole, warned of the time limit, preempted, and
# cancelled and submitted again. All have to end with the same weights, bit for bit.

python=${PYTHON:-$repository/.venv/bin/python}
PATH=$(dirname "$(command -v "$python" || command -v python3)"):$PATH
export PYTHONPATH=$repository WANDB_MODE=disabled OMP_NUM_THREADS=1
mkdir "$folder/work"
ln -s "$repository/experiments" "$folder/work"
cd "$folder/work"
cat >small.yaml <<END
trainer: {accelerator: cpu}
model: {network: {init_args: {depth: 8}}}
data: {init_args: {image_size: 8, padding: 1}}
END

fails() { # MESSAGE LOG
    printf '%s\n' "tests/slurm.sh: $1" "$(tail -n 20 "$2")" "$(squeue)" >&2
    exit 1
}

trains() { # RUN LOG: waits until it is in the middle
    waits 120 grep -q "^[1-9][0-9]," "$1/metrics.csv" || fails "$1 does not train" "$2"
}

finishes() { # RUN LOG TIMES: waits for its end; it has to have gone on from a checkpoint so many times
    waits 180 test -f "$1/result.json" || fails "$1 does not finish" "$2"
    [ "$(grep -c "^going on from" "$2")" = "$3" ] || fails "$1 should have gone on $3 times" "$2"
    echo "ok: $1"
}

empty() { [ -z "$(squeue --noheader)" ]; }

preempt() { sbatch --quiet --partition=urgent --nodes=2 --output=/dev/null --wrap="sleep 1"; }

same() { # RUN RUN ...
    python - "$@" <<'END'
import pathlib, sys, torch
first, *others = (torch.load(pathlib.Path(run, "checkpoints/iteration=300.ckpt"), weights_only=True)["state_dict"]
                  for run in sys.argv[1:])
for run, other in zip(sys.argv[2:], others, strict=True):
    if not all(torch.equal(other[name], first[name]) for name in first):
        sys.exit(f"tests/slurm.sh: {run} has other weights than {sys.argv[1]}")
print("ok: the same weights, bit for bit")
END
}

# One run, experiments/clusters/slurm.sbatch.

submit() { # RUN; prints the job's number
    sbatch --parsable --nodes=2 --ntasks-per-node=1 --gpus-per-node=1 --output="$1.txt" \
        experiments/clusters/slurm.sbatch experiments/digits/resnet20.yaml --config small.yaml --run "$1" \
        --trainer.max_steps 300 --checkpoint_every 1000
}

submit whole >/dev/null
finishes whole whole.txt 0

job=$(submit warned)
trains warned warned.txt
scancel --signal=USR1 "$job"
finishes warned warned.txt 1

submit preempted >/dev/null
trains preempted preempted.txt
preempt
finishes preempted preempted.txt 1

job=$(submit cancelled)
trains cancelled cancelled.txt
scancel "$job"
waits 60 empty
submit cancelled >/dev/null
finishes cancelled cancelled.txt 1

same whole warned preempted cancelled

# A study, experiments/clusters/slurm.yaml.

if ! python -c "import submitit" 2>/dev/null; then
    echo "skipped: studies need submitit (pip install submitit)"
    exit
fi
study=(python -m resnet_lightning study demo --only plain20 resnet20 --steps 300 --with small.yaml)
plain="runs/digits/plain20@max_steps=300,small/seed0"
residual="runs/digits/resnet20@max_steps=300,small/seed0"

"${study[@]}" --jobs 2 >study.txt 2>&1
mv runs here
waits 60 empty

array() { # LOG: submits it and waits until both runs are in the middle
    rm -rf runs
    "${study[@]}" --submit experiments/clusters/slurm.yaml >"$1" 2>&1 &
    daemons+=($!)
    trains "$plain" "$1"
    trains "$residual" "$1"
}

ends_well() { # LOG TIMES: as `finishes`, for plain20
    finishes "$plain" "$plain/log.txt" "$2"
    wait "${daemons[-1]}" || fails "the study does not end well" "$1"
    same "here${plain#runs}" "$plain"
    same "here${residual#runs}" "$residual"
    waits 60 empty
}

array warned-study.txt
scancel --signal=USR2 "$(squeue --noheader --array --format=%i | sort | head -n 1)" # the first task, plain20
finishes "$residual" "$residual/log.txt" 0
ends_well warned-study.txt 1

array preempted-study.txt
preempt
finishes "$residual" "$residual/log.txt" 1
ends_well preempted-study.txt 1

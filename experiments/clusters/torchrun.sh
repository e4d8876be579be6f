#!/usr/bin/env bash
# One run on several nodes, or on several GPUs of one, by torchrun. On each node, with its own NODE (0, 1, ...):
#
#   NODES=2 NODE=0 MASTER=10.0.0.1 GPUS=4 experiments/clusters/torchrun.sh experiments/imagenet/table2/resnet34.yaml
#
# MASTER is the address of node 0 as the others see it (PORT, 29500, has to be free there), GPUS the processes of each
# node. What follows the experiment goes to `fit`: --data.root /data/imagenet, --config experiments/imagenet/ghost.yaml.
# The folder of the run has to be the same for all nodes. Stop with Ctrl-C or SIGTERM on any node, start it again on all.
set -euo pipefail
: "${NODES:=1}" "${NODE:=0}" "${MASTER:=127.0.0.1}" "${PORT:=29500}" "${GPUS:=1}"
experiment=${1:?"the experiment is missing, such as experiments/cifar10/table6/resnet110.yaml"}
shift
folder=$(dirname "$experiment")
[ -f "$folder/base.yaml" ] || folder=$(dirname "$folder")
exec "${PYTHON:-python}" -m torch.distributed.run --nnodes "$NODES" --node-rank "$NODE" --nproc-per-node "$GPUS" \
    --master-addr "$MASTER" --master-port "$PORT" ${LOCAL:+--local-addr "$LOCAL"} \
    -m -- resnet_lightning fit --config "$folder/base.yaml" --config "$experiment" \
    --trainer.num_nodes "$NODES" --trainer.devices "$GPUS" --trainer.strategy ddp "$@"

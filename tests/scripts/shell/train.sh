#!/bin/bash
# A script need not be Python: hyperparameters are words, folders are variables.
set -euo pipefail
echo "hyperparameters: $*"
echo "channels: $SM_CHANNELS"
python -c "import sys; print('python', sys.version_info.major)"
wc -c "$SM_CHANNEL_TRAIN"/* > "$SM_MODEL_DIR/counted.txt"

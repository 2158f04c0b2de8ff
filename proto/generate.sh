#!/usr/bin/env bash
# Compiles proto/*.proto into the folder named by the first argument (default sidecar/pb).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-sidecar/pb}
mkdir -p "$out"
find "$out" -name '*_pb2.py*' -delete
"${PYTHON:-python}" -m grpc_tools.protoc --proto_path=proto --python_out="$out" --pyi_out="$out" proto/*.proto
# protoc writes `import base_pb2`; inside a package the import has to be relative.
sed -i -E 's/^import ([a-z_]+_pb2) as/from . import \1 as/' "$out"/*_pb2.py "$out"/*_pb2.pyi
[ -f "$out/__init__.py" ] || echo '"""Generated from proto/ by proto/generate.sh; do not edit."""' >"$out/__init__.py"

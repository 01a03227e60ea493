#!/bin/sh
# Pin, with hashes, the newest versions that base.in and dev.in allow; for every platform and Python from 3.11 on.
# uv resolves for all platforms at once, which pip cannot; it lives in a virtual environment of its own.
set -eu
python=$1
here=$(dirname "$0")
tool=.cache/lock-venv

"$python" -m venv "$tool"
"$tool/bin/python" -m pip install --quiet uv
# uv does not read pip's configuration: hand on the index that pip uses, when there is one of its own.
index=$("$tool/bin/python" -m pip config get global.index-url 2>/dev/null || true)
if [ -n "$index" ]; then
    export UV_DEFAULT_INDEX="$index"
fi
for name in base dev; do
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --upgrade "$here/$name.in" -o "$here/$name.txt"
done

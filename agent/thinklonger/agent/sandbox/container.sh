# The first process of a container. It lives as long as the launcher holds its standard input, and no signal from
# inside ends it but TERM, which the engine's own timer sends when the container is too old.
# $1: a frozen tree, $2: where this container's own copy of it belongs; neither where there is no tree to copy.
# Each line of input kills every other process of the container. Orphans that end interrupt `read`; `jobs` reaps them.
set -e
if [ -n "$2" ]; then cp -a "$1/." "$2/"; fi
trap 'exit 0' TERM
trap '' HUP INT QUIT USR1 USR2 PIPE ALRM
trap 'orphan=1; jobs >/dev/null' CHLD
echo ready
while orphan=; read -r line || [ -n "$orphan" ]; do
    if [ -n "$line" ]; then
        kill -KILL -1 2>/dev/null || true
        echo killed
    fi
done

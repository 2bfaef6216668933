# One command in a container. $1: the folder of the tree, $2: bytes of names to remove there (each ended by a NUL), $3:
# bytes of a tar to unpack from the root, $4: the run's own folder, $5: the working folder, $6: kilobytes of address
# space, $7: blocks of 512 bytes that a file may have; then the command. Standard input: the names, then the tar. What
# the command prints goes to standard output; on standard error we say "ready", "exit" with its code, and then give a
# tar of what it left in the run's `out`.
set -e
umask 022
cd "$1"
if [ "$2" -gt 0 ]; then head -c "$2" | xargs -0 rm -rf --; fi
head -c "$3" | tar -x -p --no-same-owner --warning=no-timestamp -C / -f -
run=$4 space=$6 blocks=$7
cd "$5"
shift 7
echo ready >&2
set +e
exec 4>&2 2>/dev/null
(ulimit -v "$space"; ulimit -f "$blocks"; exec "$@") <"$run/stdin" 2>&1 4>&-
code=$?
kill -KILL -1
echo "exit $code" >&4
cd "$run/out" && find . -maxdepth 17 -type f -size -131073 -print0 | LC_ALL=C sort -z | tar -c --null --no-recursion -T - -f - >&4
exit "$code"

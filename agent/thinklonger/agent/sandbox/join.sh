# Enter control groups before the command. $1: how many; then the files that take us in; then the command.
set -e
count=$1
shift
while [ "$count" -gt 0 ]; do
    echo 0 >"$1"
    shift
    count=$((count - 1))
done
exec "$@"

# Only where the launcher is root: bind the folders that an unprivileged user may not reach, then go on unprivileged.
# $1: how many folders; then the folders; then the command that goes on.
set -e
mount -t tmpfs -o size=1m,mode=0755 thinklonger /sys
mkdir /sys/work
count=$1
shift
number=0
while [ "$number" -lt "$count" ]; do
    mkdir "/sys/$number"
    mount --rbind -- "$1" "/sys/$number"
    shift
    number=$((number + 1))
done
exec "$@"

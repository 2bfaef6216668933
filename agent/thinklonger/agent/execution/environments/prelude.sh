# Only where the launcher is root: bind what an unprivileged user may not reach, then go on unprivileged.
# $1: how many folders and files; then they; then the command that goes on.
set -e
mount -t tmpfs -o size=1m,mode=0755 thinklonger /sys
count=$1
shift
number=0
while [ "$number" -lt "$count" ]; do
    if [ -d "$1" ]; then mkdir "/sys/$number"; else : >"/sys/$number"; fi
    mount --rbind -- "$1" "/sys/$number"
    shift
    number=$((number + 1))
done
exec "$@"

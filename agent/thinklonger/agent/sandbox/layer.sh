# One command in a layer. $1: the layer's name, $2: its size in bytes, $3: its number of files, $4: the folders below
# it (nothing: the layer stands already), $5: the run's own folder; then the command. Standard input: a tar of what to
# lay into the layer, with the command's own standard input as a file of the run's folder.
set -e
umask 022
cd /sys/work/layers
if [ -n "$4" ]; then
    mount -t tmpfs -o "X-mount.mkdir,size=$2,nr_inodes=$3,mode=0755" thinklonger "$1"
fi
cd "$1"
tar -x -p --no-same-owner --warning=no-timestamp
if [ -n "$4" ]; then
    mount -t overlay -o "userxattr,lowerdir=$4,upperdir=upper,workdir=work" thinklonger merged
fi
echo 1000 >/proc/self/oom_score_adj
exec <"$5/stdin"
shift 5
cd /
exec "$@"

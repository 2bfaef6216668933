# A session: the first process of its own user, process and mount namespaces. All that the session has lives in
# them and goes with them, when our standard input (the launcher's pipe) ends: the launcher may be killed at any time.
# $1: bytes of memory for the tree and what lies beside it, $2: a folder on disk for the tree instead, or nothing.
# Says its process id as the host sees it. Input: "drop LAYER" and "kill PID" (as this namespace sees it).
set -e
umask 022
read -r pid _ </proc/self/stat
mount -t proc proc /proc
if [ ! -d /sys/work ]; then
    mount -t tmpfs -o size=1m,mode=0755 thinklonger /sys
    mkdir /sys/work
fi
mount -t tmpfs -o "size=$1,mode=0755" thinklonger /sys/work
cd /sys/work
mkdir base layers bytecode etc git git/objects git/refs
if [ -n "$2" ]; then mount --bind -- "$2" base; fi
printf '%s\n' 'root:x:0:0::/root:/bin/sh' 'sandbox:x:1000:1000::/tmp/home:/bin/sh' >etc/passwd
printf '%s\n' 'root:x:0:' 'sandbox:x:1000:' >etc/group
printf '%s\n' '127.0.0.1 localhost sandbox' '::1 localhost' >etc/hosts
printf '%s\n' 'passwd: files' 'group: files' 'hosts: files' >etc/nsswitch.conf
printf '%s\n' 'ref: refs/heads/main' >git/HEAD
printf '%s\n' '[core]' 'repositoryformatversion = 0' 'bare = false' >git/config
echo "$pid"
while read -r what which; do
    case $what in
    kill) kill -KILL "$which" 2>/dev/null || true ;;
    drop) umount -l "layers/$which" && rmdir "layers/$which" || true ;;
    esac
done

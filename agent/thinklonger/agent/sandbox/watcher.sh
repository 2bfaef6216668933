# Clean up for a launcher, also for one that was killed: it holds the other end of our standard input.
# Lines: "+ID" and "-ID" for process groups that live and that are gone, "xNAME" for a sub-folder to remove now.
# $1: the folder to remove at the end. On Linux its name also marks the environment of every process to kill.
living=""
while read -r line; do
    id=${line#?}
    case $line in
    +*) living="$living $id" ;;
    -*) rest=""
        for other in $living; do [ "$other" = "$id" ] || rest="$rest $other"; done
        living=$rest ;;
    x*) rm -rf -- "${1:?}/$id" 2>/dev/null || { chmod -R u+rwx -- "$1/$id"; rm -rf -- "${1:?}/$id"; } 2>/dev/null ;;
    esac
done
for id in $living; do kill -KILL -- "-$id" 2>/dev/null; done
if [ -n "$living" ]; then
    for process in /proc/[0-9]*; do
        grep -qsF -- "THINKLONGER_OUT=$1/" "$process/environ" && kill -KILL "${process#/proc/}" 2>/dev/null
    done
fi
rm -rf -- "${1:?}" 2>/dev/null || { chmod -R u+rwx -- "$1"; rm -rf -- "${1:?}"; } 2>/dev/null

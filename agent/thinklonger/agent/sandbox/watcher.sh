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
rounds=0
while [ "$rounds" -lt 50 ]; do
    found=$(grep -lsF -- "THINKLONGER_OUT=$1/" /proc/[0-9]*/environ)
    [ -n "$found" ] || break
    for each in $found; do
        each=${each#/proc/}
        kill -KILL "${each%/environ}" 2>/dev/null
    done
    rounds=$((rounds + 1))
done
rm -rf -- "${1:?}" 2>/dev/null || { chmod -R u+rwx -- "$1"; rm -rf -- "${1:?}"; } 2>/dev/null

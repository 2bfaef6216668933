# A tar of files below a folder, to standard output. $1: the folder; then what `find` shall look for. Begins after a
# line of input: nobody reads earlier.
read -r _
cd "$1" || exit 1
shift
find . "$@" -type f -size -131073 -print0 | LC_ALL=C sort -z | tar -c --null --no-recursion -T - -f -

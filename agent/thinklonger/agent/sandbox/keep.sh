# Make a folder of files of a layer's upper one, to lie below later layers. $1: the layer's name, $2: the new folder.
# Standard input: the files' names, each ended by a NUL.
set -e
cd /sys/work
mkdir "bytecode/$2"
tar -c --null --no-recursion -C "layers/$1/upper" -T - | tar -x -p -C "bytecode/$2"

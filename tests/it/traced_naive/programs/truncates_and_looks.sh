# A subshell truncates a file while its parent looks whether it is empty.
: > a &
[ -s a ]
n=$?
wait
exit $n

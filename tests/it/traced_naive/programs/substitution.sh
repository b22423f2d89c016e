# A command substitution, whose writer ends before its reader goes on.
n=$(cat a)
echo "$((n + 1))" > a

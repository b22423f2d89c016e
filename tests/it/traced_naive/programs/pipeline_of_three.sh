# The last of three reads what the first writes to a file.
{ echo 2 > a; echo; } | cat | { read -r line; cat a > b; }

# A subshell appends while its parent reads.
echo x >> b &
read -r line < a
wait
echo "$line" > c

# A shell that does not wait for its subshell.
echo x >> b &
read -r line < b

# Both ends of a pipeline write to one file.
{ echo 1 >> b; echo x; } | { echo 2 >> b; cat > /dev/null; }

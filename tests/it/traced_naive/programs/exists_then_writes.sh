# A file is looked for, then written.
[ -e made ] || echo x > made &
[ -e made ] || echo y > made
wait

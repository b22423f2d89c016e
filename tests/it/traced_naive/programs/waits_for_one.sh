# A subshell that fails, and is waited for by its PID.
exit 3 &
wait $!

# Two commands in a pipeline: each writes a letter into one file. The second one first reads from the pipe to its end.
{ echo a >> log; } | { read nothing; echo b >> log; }

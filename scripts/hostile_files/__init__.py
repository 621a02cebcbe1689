"""Files from strangers, by kind: each kind is a way in which a file is broken, odd or malicious."""

"""How scripts/servers.py runs servers and asks them."""

"""Is this state directory well, and what is to be done?
May import: what the server may; looks, changes nothing, and works beside a daemon that serves."""

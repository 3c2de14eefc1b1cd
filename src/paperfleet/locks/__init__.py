"""Leases: locks with an owner, an expiry and a generation.

What a lease store has to say beside its exceptions goes to the logger ``paperfleet.locks``: failed
renewals and losses. Without a handler of the program's own, nothing is printed.
"""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())

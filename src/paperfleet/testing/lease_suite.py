"""The one conformance suite of lease stores.

To test a kind of lease store, name the function that opens one, and give the suite an address:

    class TestMyLeases(LeaseSuite):
        opener = "my_package.leases:open_store"

        @pytest.fixture
        def address(self, my_server):
            return my_server.address

    def open_store(address):
        return Leases(MyBackend(address))

The suite opens several stores at the address, as several hosts would, and starts processes that it
kills and stops. A test that cannot hold is declared in ``exceptions`` with its reason.
"""

from __future__ import annotations

from paperfleet.testing.suite_lease_processes import LeaseProcessesSuite
from paperfleet.testing.suite_leases import LeasesSuite

__all__ = ["LeaseSuite"]


class LeaseSuite(LeasesSuite, LeaseProcessesSuite):
    """Every promise of ``paperfleet.locks.protocol``, for one kind of lease store.

    ``opener`` is ``module:function``, importable also in other processes, and returns the
    ``LeaseStore`` at the text ``address``, the fixture to give. ``ttl`` is the time of the leases
    in seconds, ``slack`` how much longer things may take on a slow machine.
    """

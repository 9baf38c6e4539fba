"""Everything on one machine: processes that live and die together, and a Redis of our own."""

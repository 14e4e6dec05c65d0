"""The conformance kit: attacks a merchant's notify address with what strangers and bad days would send, and grades it.

No money is touched: the events are made up, and what is signed says so. `test` is true, and the `event_id` begins
with `test_`, which no real one does.
"""

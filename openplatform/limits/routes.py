"""What a rule may name as its route: the operations of the API, and the doors to which an address comes."""

READ, WRITE = "read", "write"  # of an operation that has no name of its own
OPEN_API = "openapi"

operations: set[str] = {READ, WRITE}
doors: set[str] = {OPEN_API}

"""The payer's door: a merchant's printed code, and the page of one order. It shows what the server knows."""

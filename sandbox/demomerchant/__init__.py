"""The demo merchant: the smallest honest receiver of notifications. It verifies, deduplicates, remembers and shows."""

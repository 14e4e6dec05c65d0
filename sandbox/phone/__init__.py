"""The payer's phone: one home screen, and for each channel the sheet that its own app would open."""

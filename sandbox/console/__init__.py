"""The control page for people: what the control API does, with buttons. Signed in with the control token."""

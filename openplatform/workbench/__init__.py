"""The signature workbench: for who integrates with us, on a test platform only.

It shows the string that our server builds from a pasted request, says which check fails and why, and where two strings
differ first. In production it is not there: to strangers we never say more of a signature than that it is wrong.
"""

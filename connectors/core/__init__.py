"""Pure Python: files, scopes, plans, Base44's wire contract and client. No Django (tests/test_architecture.py)."""

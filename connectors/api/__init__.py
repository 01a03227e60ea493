"""What other machines call: webhooks of git hosts, and the check that a build asks for. No pages, no sessions."""

"""What the suites share: real servers, real clients, and words to tell them what to do."""

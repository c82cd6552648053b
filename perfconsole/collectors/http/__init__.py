"""HTTP, TCP, TLS and DNS checks. What a check is and what comes of it is said in `core.checks`; here they are carried out."""

"""Notification channels: how word of alerts is sent, one module a type. Each is imported once a configuration has one of its type."""

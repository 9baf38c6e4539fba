"""Destination: a self-hosted, Segment-style webhook destination server for Klaviyo."""

__version__ = "0.1.0"

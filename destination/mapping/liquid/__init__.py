"""Liquid templates, the subset of them that Segment allows in mappings.

``engine`` needs the extra ``liquid``; nothing else here imports python-liquid.
"""

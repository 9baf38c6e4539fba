"""From parsed events to events that are stored: what is taken, from whom, and how fast."""

"""From stored rows to a known end: the queue, lanes, limits and what goes to Klaviyo."""

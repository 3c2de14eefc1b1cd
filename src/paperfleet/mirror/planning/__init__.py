"""From what was seen to what is to be done: the plan, its order and its guard. Pure."""

"""HTTP for every backend that speaks it: requests, answers, and what can go wrong below them."""

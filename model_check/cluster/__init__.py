"""Clusters that ran, simulated or real: what they are judged by, and how fast they are."""

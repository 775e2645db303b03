"""Sensor plugins and what runs them; `proximity` and `encoder` are the first two."""

"""Campaigns against the embedded broker: kills, power cuts, bad disks, damage, hostile bytes."""

"""What happens to residents who do not exist, in municipalities that do."""

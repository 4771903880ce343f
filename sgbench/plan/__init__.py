"""What a suite will do and cost, before it does it. No torch."""

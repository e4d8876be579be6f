"""What does it cost? Speed, input, and what a network is made of."""

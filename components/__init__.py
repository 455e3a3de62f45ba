"""What a person sees. Everything it knows comes through the doors of `services`."""

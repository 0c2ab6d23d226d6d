"""Values to text. A renderer never prints and never asks for a terminal."""

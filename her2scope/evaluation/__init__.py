"""How good a method is: each part sets what it finds beside one kind of truth. Methods come in from outside."""

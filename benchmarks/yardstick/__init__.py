"""How far estimators of I(X;T) are off where the truth is known."""

"""`ifp demo`: the loop on a year of real flights."""

"""`ifp serve`: answers with the version in production, and follows it when it changes.

    client --HTTP--> front/  --socket--> worker/ (one process per version, forked from the spare)
                       |  ^
                       |  '-- follower (polls the registry, fetches versions into the cache)
                       '----> log/ (a process that writes the prediction log)

One room a kind of process; what they say to each other is in `messages`. The front imports neither MLflow nor
torch nor pandas: it reads requests, hands them on in small batches, and sends what comes back. All that knows
a model's columns is in the worker. Read `front.server` first.
"""

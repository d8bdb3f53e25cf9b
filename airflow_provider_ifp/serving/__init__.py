"""`ifp serve`: answers with the version in production, and follows it when it changes.

    client --HTTP--> front (app, lane, fleet) --socket--> worker (one process per version)
                       |    ^                     ^ forked from the spare, whose imports are done
                       |    '-- follower (polls the registry, fetches versions into the cache)
                       '------> log process (prediction log)

The front imports neither MLflow nor torch nor pandas: it reads requests, hands them on in small batches,
and sends what comes back. All that knows a model's columns is in the worker.
"""

"""The policies of the article that the project began from, word for word."""

VALIDATION = """\
# Validation gate in Inferpathio retraining policy
validation:
  min_f1: 0.88            # absolute threshold
  compare_to: production  # must beat current production version
  tolerance: -0.005       # allow up to 0.5% regression (rounding noise)
  promote_on_pass: staging
  notify_on_fail:
    - slack: "#ml-ops-alerts"
"""
MONITOR = """\
# The complete loop
# Stage 6 monitoring → Stage 3 build → Stage 4 test → Stage 5 deploy
monitor:
  model: revenue-forecast
  methods:
    psi:
      threshold: 0.10
  on_trigger:
    action: retrain
    pipeline: revenue-forecast-training-dag
"""

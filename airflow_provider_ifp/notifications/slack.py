"""A message to a Slack channel, by Airflow's own Slack provider."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

SLACK_CONNECTION = "slack_api_default"


def post(channel: str, text: str) -> bool:
    """Post a message; a message that does not get through never changes what it is about.

    Args:
        channel: Such as `#ml-ops-alerts`.
        text: The message.

    Returns:
        Whether Slack took it. Why not stands in the log as a warning.
    """
    try:
        from airflow.providers.slack.hooks.slack import SlackHook
    except ImportError:
        log.warning("no message to Slack %s: install airflow-provider-ifp[slack]; it was: %s", channel, text)
        return False
    try:
        SlackHook(slack_conn_id=SLACK_CONNECTION).call(
            "chat.postMessage", json={"channel": channel, "text": text}
        )
    except Exception as error:  # noqa: BLE001 - whatever Slack or the network says, the verdict stands
        log.warning(
            "no message to Slack %s (connection %s: %s: %s); it was: %s",
            channel, SLACK_CONNECTION, type(error).__name__, error, text,
        )  # fmt: skip
        return False
    return True

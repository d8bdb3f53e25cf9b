"""Events of a model's assets: `ifp://<model>/drift` for firings, `ifp://<model>/production` for promotions.

Other Dags follow them with `schedule=Asset("ifp://<model>/production")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from airflow.sdk import Context


def announced(model: str, what: str) -> AssetAlias:
    """The outlet of a task that announces only some of its successes.

    An alias, since an asset as outlet would announce every quiet check and every move to staging as well.
    """
    return AssetAlias(name=f"ifp://{model}/{what}")


def announce(context: Context, outlet: AssetAlias, **extra: Any) -> None:
    """Add one event to the asset that the outlet stands for.

    Args:
        context: The task's.
        outlet: What `announced` gave, among the task's outlets.
        extra: What followers find in the event's `extra`.
    """
    context["outlet_events"][outlet].add(Asset(name=outlet.name, uri=outlet.name), extra=extra)

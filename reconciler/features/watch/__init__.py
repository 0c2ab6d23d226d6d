"""The reconcile loop: cycles, intervals, notifications, metrics and the webhook."""

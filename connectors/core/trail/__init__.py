"""The audit trail's mathematics: what a digest covers, how segments are chained, what a checkpoint promises."""

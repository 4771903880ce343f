"""Laws that rules, models, samplers, metrics and extractors obey, whoever wrote them: `sgbench check`."""

"""From rows to what people read: tables, plots, galleries, a page. No torch."""

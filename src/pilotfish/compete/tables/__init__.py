"""Tables: boosted trees, additive and linear models, tuned in a time budget, against a large model that reads rows."""

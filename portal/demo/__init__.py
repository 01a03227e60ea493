"""`make demo`: the whole portal on one machine, with sample projects and a stand-in for Base44."""

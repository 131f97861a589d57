"""retrace: rerun the tables and figures of papers on temporal modelling in video."""

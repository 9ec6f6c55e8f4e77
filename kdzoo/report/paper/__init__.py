"""The paper's tables and figures, with what runs have measured in their cells."""

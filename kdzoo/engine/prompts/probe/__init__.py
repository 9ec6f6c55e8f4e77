"""The probe: which way gives each row of a batch what the row has alone, found out by trying."""

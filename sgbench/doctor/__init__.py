"""Whether results are whole and the installation sound; what can be repaired, and what cannot."""
